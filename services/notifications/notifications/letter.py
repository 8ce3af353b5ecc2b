"""The text of a mail, Vietnamese first, and its headers: the same bytes whenever it is made again."""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from contracts.fields import VIETNAM
from contracts.vietnamese import partial

_TEXTS: Final = Environment(
    loader=PackageLoader("notifications"),
    autoescape=False,  # noqa: S701  # plain text, no markup
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_TEXTS.filters["partial"] = partial
SUBJECTS: Final = {
    "rejected": "Dữ liệu gửi lên không được ghi nhận / Submissions rejected",
    "waiting": "Dữ liệu đang chờ bổ sung / Submissions waiting",
    "revoked": "Công nhận OCOP bị thu hồi / Recognitions revoked",
}


def write(mail: Mapping[str, Any], sender: str) -> EmailMessage:
    """The mail of a row of `claim`. Its Message-ID is the row's, so that a repeat can be told from a second mail."""
    mail_id: UUID = mail["id"]
    made_at: datetime = mail["made_at"]
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail["address"]
    message["Subject"] = f"[OCOP {mail['tenant']}] {SUBJECTS[mail['rule']]} ({len(mail['entries'])})"
    message["Date"] = format_datetime(made_at.astimezone(VIETNAM))
    message["Message-ID"] = f"<{mail_id}@ocop-interconnect>"
    message["Auto-Submitted"] = "auto-generated"
    text = _TEXTS.get_template(f"{mail['rule']}.txt").render(entries=mail["entries"], tenant=mail["tenant"])
    message.set_content(text, charset="utf-8", cte="base64")
    return message
