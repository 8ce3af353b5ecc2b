"""How a process gets to Kafka: what its environment says, and certificates that are renewed while it runs."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from cryptography import x509
from pydantic import ValidationError

from servicekit import access

NAMES = ("OCOP_KAFKA_CA_FILE", "OCOP_KAFKA_CERTIFICATE_FILE", "OCOP_KAFKA_KEY_FILE")


@pytest.fixture(autouse=True)
def of_this_test() -> Iterator[None]:
    access.context.cache_clear()
    yield
    access.context.cache_clear()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in NAMES:
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def certify(files: Path, authority: trustme.CA) -> int:
    """Writes them anew; the certificate's number."""
    made = authority.issue_cert("service")
    authority.cert_pem.write_to_path(str(files / NAMES[0]))
    (files / NAMES[1]).write_bytes(made.cert_chain_pems[0].bytes())
    (files / NAMES[2]).write_bytes(made.private_key_pem.bytes())
    return x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes()).serial_number


@asynccontextmanager
async def server(authority: trustme.CA) -> AsyncIterator[int]:
    """Answers with the number of the certificate that it was shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.write(f"{shown.serial_number}\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as serving:
        yield serving.sockets[0].getsockname()[1]


async def shown(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=access.context())
    said = int(await reader.readline())
    writer.close()
    return said


def test_what_was_asked_and_says_nothing_is_let_go() -> None:
    now = time.monotonic()
    asked = {"silent": (1, now - 60), "asked just now": (1, now), "not asked": (0, now - 60)}
    broken: list[str] = []
    connections = {
        name: SimpleNamespace(
            _requests=[None] * requests,
            _last_action=last,
            _writer=SimpleNamespace(transport=SimpleNamespace(abort=partial(broken.append, name))),
        )
        for name, (requests, last) in asked.items()
    }
    client: Any = SimpleNamespace(_conns=connections)
    access.let_go(client, silent_s=10)
    assert broken == ["silent"]
    access.let_go(client)
    assert broken == ["silent", *asked]


def test_in_the_clear_unless_told_otherwise() -> None:
    assert access.to("kafka:9092") == {"bootstrap_servers": "kafka:9092", "request_timeout_ms": 15_000}


async def test_a_renewed_certificate_is_the_next_connections(files: Path) -> None:
    authority = trustme.CA()
    async with server(authority) as port:
        first = certify(files, authority)
        assert [await shown(port), await shown(port)] == [first, first]
        second = certify(files, authority)
        assert await shown(port) == second != first
    assert access.to("kafka:9093")["security_protocol"] == "SSL"


async def test_files_that_do_not_fit_each_other_yet_are_left(files: Path) -> None:
    authority = trustme.CA()
    async with server(authority) as port:
        first = certify(files, authority)
        assert await shown(port) == first
        key = (files / NAMES[2]).read_bytes()
        renewed = certify(files, authority)
        fitting = (files / NAMES[2]).read_bytes()
        (files / NAMES[2]).write_bytes(key)
        assert await shown(port) == first
        (files / NAMES[2]).unlink()
        assert await shown(port) == first
        (files / NAMES[2]).write_bytes(fitting)
        assert await shown(port) == renewed


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((NAMES[0], NAMES[1]), "OCOP_KAFKA_KEY_FILE"),
        ((NAMES[0], NAMES[2]), "OCOP_KAFKA_CERTIFICATE_FILE"),
        (NAMES[1:], "OCOP_KAFKA_CA_FILE"),
    ],
)
def test_half_of_it_is_a_mistake(
    files: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], named: str
) -> None:
    certify(files, trustme.CA())
    for name in set(NAMES) - set(given):
        monkeypatch.delenv(name)
    with pytest.raises(ValidationError, match=named):
        access.context()


def test_a_file_that_is_not_there_is_a_mistake(files: Path) -> None:
    with pytest.raises(ValidationError, match="ca_file"):
        access.context()


def test_a_file_that_is_no_certificate_is_a_mistake(files: Path) -> None:
    certify(files, trustme.CA())
    (files / NAMES[0]).write_text("none")
    with pytest.raises(ssl.SSLError):
        access.context()
