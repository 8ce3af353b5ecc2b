"""How every client of this process gets to Kafka: in the clear, or in TLS where the environment names the files for it.

It is a matter of the process, as its proxies are: consumers, producers and operators' commands are all let in alike.
"""

import asyncio
import os
import ssl
import time
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Final, Self

from aiokafka.client import AIOKafkaClient
from pydantic import Field, FilePath, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# A connection that the network has forgotten shows by a request that brings no answer. Several are asked one after the
# other before a poll is done: with aiokafka's 40 s reading would stand still for minutes.
REQUEST_TIMEOUT_MS: Final = 15_000
ENDED_S: Final = 5.0


class Tls(BaseSettings):
    """Files in PEM. With no authority Kafka is spoken to in the clear; with a certificate it also knows who speaks."""

    model_config = SettingsConfigDict(env_prefix="OCOP_KAFKA_", extra="ignore")

    ca_file: Annotated[FilePath | None, Field(description="who signs the brokers' certificates: Kafka in TLS")] = None
    certificate_file: Annotated[FilePath | None, Field(description="ours, by which Kafka knows the service")] = None
    key_file: Annotated[FilePath | None, Field(description="the key of our certificate")] = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("OCOP_KAFKA_CERTIFICATE_FILE and OCOP_KAFKA_KEY_FILE are given together or not at all")
        if self.certificate_file is not None and self.ca_file is None:
            raise ValueError("OCOP_KAFKA_CERTIFICATE_FILE says nothing without OCOP_KAFKA_CA_FILE")
        return self


class _Context(ssl.SSLContext):
    """Looks at its files for each new connection: a certificate that was renewed is that connection's.

    Connections that there are stay; an authority that was once trusted is until the process ends.
    """

    def __init__(self, _protocol: int, files: Tls) -> None:
        super().__init__()
        self._files = files
        self._read: tuple[tuple[int, int], ...] = ()
        self._renew()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio asks for with each connection."""
        with suppress(OSError):  # a file that is being replaced: what was read before is good for a while
            self._renew()
        return super().wrap_bio(*arguments, **options)

    def _renew(self) -> None:
        files = self._files
        named = [file for file in (files.ca_file, files.certificate_file, files.key_file) if file is not None]
        found = tuple((stat.st_mtime_ns, stat.st_ino) for stat in map(os.stat, named))
        if found == self._read:
            return
        for taker in (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self):  # what does not fit spoils the first one only
            taker.load_verify_locations(files.ca_file)
            if files.certificate_file is not None:
                taker.load_cert_chain(files.certificate_file, files.key_file)
        self._read = found


@cache
def context() -> ssl.SSLContext | None:
    """The TLS context of all Kafka clients of this process, or None without TLS. Raises ValidationError, naming the
    variable; ssl.SSLError if a file is no PEM."""
    files = Tls()
    return None if files.ca_file is None else _Context(ssl.PROTOCOL_TLS_CLIENT, files)


def to(bootstrap: str, *, request_timeout_ms: int = REQUEST_TIMEOUT_MS) -> dict[str, Any]:
    """What a client of aiokafka is made with: `AIOKafkaConsumer(**access.to(bootstrap), …)`."""
    tls = context()
    found = {"bootstrap_servers": bootstrap, "request_timeout_ms": request_timeout_ms}
    return found if tls is None else {**found, "security_protocol": "SSL", "ssl_context": tls}


async def ended(ending: Coroutine[Any, Any, None], client: AIOKafkaClient | None, seconds: float = ENDED_S) -> None:
    """Waits for the end of a client's owner at most so long, then breaks its connections: one that the network has
    forgotten would in TLS be waited for half a minute, and with bytes that are not sent yet until TCP gives up.

    Raises nothing but our own cancellation. asyncio.timeout would not do: what it cancels inside aiokafka comes back
    as the cancellation of whoever asks the next time.
    """

    async def quietly() -> None:
        with suppress(Exception):
            await ending

    task = asyncio.create_task(quietly())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            if client is not None:
                let_go(client)


def let_go(client: AIOKafkaClient, silent_s: float | None = None) -> None:
    """Breaks a client's connections, or those that were asked something and have said nothing for so long."""
    now = time.monotonic()
    for connection in client._conns.values():
        silent = silent_s is None or (connection._requests and now - connection._last_action > silent_s)
        if silent and connection._writer is not None:
            connection._writer.transport.abort()
