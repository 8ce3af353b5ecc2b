"""A real SMTP server for one machine: it keeps every mail that it is given as a file, and sends none on.

`python -m ocop.mailbox PORT DIRECTORY` runs it; `read` lists what has come.
"""

import asyncio
import email
import ssl
import sys
import time
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # of the stack on one machine: an image goes without
    from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_BYTES = 1024 * 1024


class Keeper:
    """Writes each mail whole before it says that it has it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def handle_DATA(self, server: "SMTP", session: "Session", envelope: "Envelope") -> str:  # noqa: N802, ARG002  # aiosmtpd's names
        """Keeps one mail."""
        content = envelope.content or b""
        path = self._directory / f"{time.time_ns()}.eml"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(content if isinstance(content, bytes) else content.encode())
        unfinished.rename(path)
        return "250 kept"


def read(directory: Path) -> list[EmailMessage]:
    """The mails, oldest first."""
    mails = []
    for path in sorted(directory.glob("*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=default)
        assert isinstance(message, EmailMessage)
        mails.append(message)
    return mails


async def answers(port: int) -> bool:
    """Whether the server on this port says hello."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            hello = await reader.readline()
            writer.close()
    except OSError:
        return False
    return hello.startswith(b"220")


async def serve(port: int, directory: Path, tls: ssl.SSLContext | None = None) -> None:
    """Listens on 127.0.0.1 until cancelled; with `tls` it takes nothing that is not encrypted."""
    from aiosmtpd.smtp import SMTP

    keeper = Keeper(directory)

    def connected() -> SMTP:
        return SMTP(
            keeper,
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",
            tls_context=tls,
            require_starttls=tls is not None,
        )

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
