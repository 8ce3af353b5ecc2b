"""The worker: makes mails of what is due and hands them to the mail server.

A mail is claimed for a while, sent, and marked. A crash between sending and marking sends it once more, with the
same Message-ID. A server that does not take it is tried again, ever less often, for as long as it takes.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import structlog
from opentelemetry.trace import SpanKind

from notifications import letter, store
from notifications.settings import Settings
from servicekit import database
from servicekit.database import Pool
from servicekit.failpoint import failpoint
from servicekit.metrics import METRICS
from servicekit.tracing import TRACING
from servicekit.waker import repeat

log = structlog.get_logger(__name__)

EVERY_S = 1.0
LEASE_S = 60
SEND_TIMEOUT_S = 45  # for all steps together, within the lease
FAREWELL_S = 2.0
AT_ONCE = 1  # a second one would wait while its lease runs out
BACKOFF_FIRST_S, BACKOFF_MOST_S = 5.0, 3600.0
MOST_DOUBLINGS = 20  # far beyond the most; a thousand would be no number any more


class Postman:
    """Runs in every replica; what one has claimed, the others leave."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings

    async def run(self) -> None:
        """Looks every second, until cancelled."""
        await repeat(EVERY_S, self.once)

    async def once(self) -> int:
        """Makes mails of what is due and sends what is to be sent now; returns how many were tried."""
        async with database.transaction(self._pool) as connection:
            await store.make_mails(connection)
            count, oldest_s = await store.unsent(connection)
            mails = await store.claim(connection, LEASE_S, AT_ONCE)
        METRICS.mails_unsent.set(count)
        METRICS.mails_oldest.set(oldest_s)
        for mail in mails:
            await self._send(mail)
        return len(mails)

    async def _send(self, mail: Mapping[str, Any]) -> None:
        settings, began = self._settings, time.time_ns()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._hand_over(letter.write(mail, settings.smtp_from))
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:  # the last: of the letter itself
            wait_s = min(BACKOFF_FIRST_S * 2.0 ** min(mail["attempts"] - 1, MOST_DOUBLINGS), BACKOFF_MOST_S)
            METRICS.mails.labels("refused").inc()
            log.warning("mail not taken", mail=str(mail["id"]), error=repr(error), again_in_s=wait_s)
            async with database.acquire(self._pool) as connection:
                await store.put_off(connection, mail["id"], wait_s, repr(error))
            return
        failpoint("mail-sent")
        said = {"ocop.rule": mail["rule"], "ocop.mail": str(mail["id"])}
        METRICS.mails.labels("taken").inc()
        TRACING.took("mail", SpanKind.CLIENT, ((place, said) for place in mail["traces"]), began)
        async with database.acquire(self._pool) as connection:
            await store.sent(connection, mail["id"])

    async def _hand_over(self, message: EmailMessage) -> None:
        """Not by `aiosmtplib.send`, which says farewell for a minute to a server that does not answer."""
        settings = self._settings
        server = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password or None,
            start_tls=settings.smtp_starttls,
            cert_bundle=settings.smtp_ca_file or None,
        )
        try:
            await server.connect()
            await server.send_message(message)
            with suppress(aiosmtplib.SMTPException, OSError):
                await server.quit(timeout=FAREWELL_S)
        finally:
            server.close()
