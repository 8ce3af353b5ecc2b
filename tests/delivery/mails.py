"""O7: every mail that was asked for is sent to its tenant; again only after a crash, under the same Message-ID."""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from notifications import store

from ocop import mailbox
from ocop.home import free_port
from ocop.rules.evidence import Finding
from servicekit import database
from tests.delivery.stream import LANES
from tests.delivery.system import REPOSITORY
from tests.delivery.victims import REPLICAS
from tests.waiting import until

MESSAGE_ID = re.compile("<(.+)@ocop-interconnect>")
UNSENT = """SELECT (SELECT count(*) FROM mail WHERE sent_at IS NULL)
                 + (SELECT count(*) FROM delivery JOIN contact USING (tenant)
                    WHERE delivery.mail IS NULL AND NOT cancelled AND due_at <= clock_timestamp())"""


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[int]:
    """A mail server that keeps what it gets under this directory; its port."""
    port = free_port()
    with (directory / "mailbox.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ocop.mailbox", str(port), str(directory / "mails"), cwd=REPOSITORY, stderr=log
        )
    try:
        await until(lambda: mailbox.answers(port))
        yield port
    finally:
        process.kill()
        await process.wait()


async def set_contacts(url: str) -> None:
    """Every lane's province is told by mail."""
    connection = await database.connect(url, name="mails")
    for tenant, _ in LANES:
        await store.set_contact(connection, tenant, f"ocop@{tenant}.example")
    await connection.close()


async def wait_until_sent(url: str, seconds: float) -> list[str]:
    """Waits until no mail is due; returns what still is when the time is over."""
    until = time.monotonic() + seconds
    connection = await database.connect(url, name="mails")
    try:
        while unsent := await connection.fetchval(UNSENT):
            if time.monotonic() > until:
                return [f"notifications: {unsent} mails and deliveries are due"]
            await asyncio.sleep(0.2)
    finally:
        await connection.close()
    return []


async def compare(directory: Path, url: str, crashes: int) -> list[Finding]:
    """What the mail server has, against what notifications says that it sent, and to whom.

    One of `crashes` can have come between a mail and its mark in each replica, which has one mail at a time.
    """
    connection = await database.connect(url, name="mails")
    try:
        rows = await connection.fetch(
            """SELECT id, tenant, contact.address AS told FROM mail LEFT JOIN contact USING (tenant)
               WHERE sent_at IS NOT NULL"""
        )
    finally:
        await connection.close()
    sent = {row["id"]: row for row in rows}
    came = [(MESSAGE_ID.fullmatch(str(mail["Message-ID"])), str(mail["To"])) for mail in mailbox.read(directory)]
    names = [(UUID(name[1]), to) for name, to in came if name]
    kept = Counter(mail for mail, _ in names)
    findings = [Finding("O7", f"mail {mail} is said to be sent and did not come") for mail in sent.keys() - kept.keys()]
    findings += [Finding("O7", f"mail {mail} came and was not sent") for mail in kept.keys() - sent.keys()]
    for mail, to in names:
        if mail in sent and to != sent[mail]["told"]:
            text = f"mail {mail} of {sent[mail]['tenant']} went to {to}, not to {sent[mail]['told']}"
            findings.append(Finding("O7", text))
    if len(names) != len(came):
        findings.append(Finding("O7", f"{len(came) - len(names)} mails have another Message-ID"))
    repeated = kept.total() - len(kept)
    if repeated > crashes * REPLICAS:
        findings.append(Finding("O7", f"{repeated} mails came again, after {crashes} crashes"))
    for mail, times in kept.items():
        if times > 1 + crashes:
            findings.append(Finding("O7", f"mail {mail} came {times} times, after {crashes} crashes"))
    return findings
