"""What is certain of one certificate, of one listing, on a day: in words, with the sign that goes with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from contracts.fields import PartialDate, span
from national import words
from national.domain import ONE_DAY

Told = Mapping[str, Any]

SENTENCES: Final = {
    "valid": "Chắc chắn có một lần công nhận còn hiệu lực trong ngày này.",
    "uncertain": "Có thể còn hiệu lực: ngày cấp hoặc ngày hết hạn chỉ biết một phần, nên cả hai khả năng đều còn.",
    "ended": "Đã từng được công nhận; đến ngày này không còn lần công nhận nào có hiệu lực.",
    "none": "Chưa có lần công nhận nào được báo cáo là cấp trước hoặc trong ngày này.",
}


@dataclass(frozen=True, slots=True)
class OnDay:
    """How it is on the day; `sign` is a status, or `revoked`. Its last day is one from `last_lo` to `last_hi`."""

    sign: str
    words: str
    last_lo: date | None = None
    last_hi: date | None = None


def of_certificate(certificate: Told, at: date, counted: Told | None) -> OnDay:
    """`counted` is the certificate by which the product counts on the day."""
    days = certificate["days"]
    last = days["ends_lo"] - ONE_DAY, days["ends_hi"] - ONE_DAY
    if at < days["issued_lo"]:
        return OnDay("none", "Chưa cấp", *last)
    if at >= days["ends_hi"]:
        revoked = _revoked_by(certificate) <= days["ends_hi"]
        return OnDay("revoked", "Đã bị thu hồi", *last) if revoked else OnDay("ended", "Đã hết hạn", *last)
    if counted is None or certificate["recognition_ref"] != counted["recognition_ref"]:
        if counted is not None and at < counted["days"]["issued_hi"]:
            return OnDay("uncertain", "Có thể đã có lần công nhận mới hơn", *last)
        return OnDay("ended", "Đã có lần công nhận mới hơn", *last)
    if days["issued_hi"] <= at < days["ends_lo"]:
        return OnDay("valid", "Chắc chắn còn hiệu lực", *last)
    return OnDay("uncertain", "Có thể còn hiệu lực, chưa chắc chắn", *last)


def of_listing(listing: Told, at: date) -> OnDay:
    """Whether the product is offered there on the day."""
    pieces = listing["days"]
    for piece in pieces:
        if (piece["from"] or date.min) <= at < (piece["to"] or date.max):
            return OnDay("valid", "Đang bán") if piece["certain"] else OnDay("uncertain", "Có thể đang bán")
    if pieces and at < (pieces[0]["from"] or date.min):
        return OnDay("none", "Chưa bán")
    return OnDay("ended", "Không còn bán")


def until(listing: Told) -> str:
    """Up to when it is offered, as well as that is known."""
    stated = listing["delisted"]["delisted_on"] if listing["delisted"] else None
    last = listing["days"][-1]["to"] if listing["days"] else None
    closed = f"{words.day(last - ONE_DAY)} (sàn đóng cửa)" if last else ""
    if listing["delisted"] is None or (last and stated and last < PartialDate(stated).lo()):
        return closed
    return words.partial(stated) if stated else "đã gỡ, không rõ ngày"


def _revoked_by(certificate: Told) -> date:
    """The day from which it was certainly revoked; one that has expired before was not ended by that."""
    revoked = certificate["revoked"]
    if revoked is None:
        return date.max
    on = revoked["revoked_on"]
    return span(PartialDate(on) if on else None, date.fromisoformat(revoked["origin"]["stated_on"]))[1]
