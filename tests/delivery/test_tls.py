"""Kafka in mutual TLS, PostgreSQL in TLS: certificates and authorities change without a stop."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context
from cryptography.hazmat.primitives import serialization

from contracts.topics import TOPICS
from ocop import provision
from ocop.home import free_port
from servicekit import database
from tests.delivery.system import System, system
from tests.delivery.test_engines_die import send
from tests.delivery.test_spine import all_applied
from tests.engines import Databases, Engines
from tests.faults.proxy import Proxy


def trust(file: Path, authorities: Sequence[trustme.CA]) -> None:
    """Whom services trust, from now on."""
    file.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))


class Tls:
    """A broker's second door, that opens for those only whom an authority has signed."""

    def __init__(self, engines: Engines, directory: Path) -> None:
        self._engines, self._directory, self._port = engines, directory, free_port()
        self.bootstrap = f"127.0.0.1:{self._port}"
        self.settings = {
            "OCOP_KAFKA_BOOTSTRAP": self.bootstrap,
            "OCOP_KAFKA_CA_FILE": str(directory / "ca.crt"),
            "OCOP_KAFKA_CERTIFICATE_FILE": str(directory / "user.crt"),
            "OCOP_KAFKA_KEY_FILE": str(directory / "user.key"),
        }

    def certify(self, by: trustme.CA) -> None:
        """Gives services a certificate, or a new one."""
        made = by.issue_cert("service")
        (self._directory / "user.key").write_bytes(made.private_key_pem.bytes())
        (self._directory / "user.crt").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    async def open(self, by: trustme.CA) -> None:
        """Starts the broker again: with a certificate of this authority, for those that have one of it."""
        made = by.issue_cert("127.0.0.1")
        key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._directory / "broker.pem").write_bytes(key + b"".join(pem.bytes() for pem in made.cert_chain_pems))
        by.cert_pem.write_to_path(str(self._directory / "authority.pem"))
        self._engines.stop_kafka()
        file = self._engines.directory / "kafka" / "server.properties"
        kept = [line for line in file.read_text().splitlines() if "TLS" not in line and ".tls." not in line]
        given = dict(line.split("=", 1) for line in kept if "=" in line and not line.startswith("#"))
        doors = {name: f"{given[name]},TLS://{self.bootstrap}" for name in ("listeners", "advertised.listeners")}
        of_door = {
            "ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._directory / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._directory / "authority.pem"),
        }
        more = doors | {"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL"}
        more |= {f"listener.name.tls.{name}": value for name, value in of_door.items()}
        file.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in more.items()), ""]))
        await self._engines.start_kafka()


@pytest.fixture
async def tls(engines: Engines, tmp_path: Path) -> Tls:
    await provision.topics(engines.kafka_bootstrap, TOPICS.values())
    return Tls(engines, tmp_path)


async def test_certificates_are_renewed_under_load(engines: Engines, tls: Tls, tmp_path: Path) -> None:
    """First the services' own and whom they trust, then the broker's, which from then on lets in the new ones only."""
    old, new = trustme.CA(), trustme.CA()
    trust(tmp_path / "ca.crt", [old, new])
    tls.certify(old)
    await tls.open(old)
    await refused(tls)
    databases = Databases(engines.postgres_url)
    async with system(engines.kafka_bootstrap, databases, tmp_path, ["gateway", "registry"]) as under_test:
        for service in under_test.databases:
            await under_test.start(service, ready=True, **tls.settings)
        await send(under_test, 10, start=0)
        await under_test.settled()
        stop = asyncio.Event()
        sending = asyncio.create_task(_keep_sending(under_test, stop))
        tls.certify(new)
        await tls.open(new)
        await under_test.healed(60)
        stop.set()
        sent = await sending
        await under_test.settled(60)
        await all_applied(under_test, 40 * (1 + sent))
        assert all(each.process.poll() is None for each in under_test.processes), "nobody was started again"


async def refused(tls: Tls) -> None:
    """Who has no certificate is not let in, whomever he trusts."""
    stranger = create_ssl_context(cafile=tls.settings["OCOP_KAFKA_CA_FILE"])
    admin = AIOKafkaAdminClient(bootstrap_servers=tls.bootstrap, security_protocol="SSL", ssl_context=stranger)
    with pytest.raises((KafkaError, OSError)):
        await admin.start()
    await admin.close()


class Door:
    """PostgreSQL's, in TLS: the embedded server knows none, so what encrypts stands before it."""

    def __init__(self, target: int, authority: trustme.CA) -> None:
        self._inwards = Proxy(0, target)
        self.certify(authority)

    def certify(self, by: trustme.CA) -> None:
        """A certificate of this authority from now on; who is inside is put out, and has to come again."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert("127.0.0.1").configure_cert(self._context)
        self._inwards.reset()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        """The port at which it stands."""
        async with await asyncio.start_server(self._enter, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
            await self._inwards.close()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # may this be TLS?
        writer.write(b"S")
        try:
            await writer.start_tls(self._context)
        except OSError:
            writer.transport.abort()
            return
        await self._inwards.connected(reader, writer)


async def test_the_authority_of_the_databases_is_renewed_under_load(engines: Engines, tmp_path: Path) -> None:
    """First whom services trust, then the server's certificate, then nobody trusts the old one any more."""
    await provision.topics(engines.kafka_bootstrap, TOPICS.values())
    old, new = trustme.CA(), trustme.CA()
    trusted = tmp_path / "ca.crt"
    trust(trusted, [old])
    plain = urlsplit(engines.postgres_url)
    door = Door(plain.port or 0, old)
    services = system(engines.kafka_bootstrap, Databases(engines.postgres_url), tmp_path, ["gateway", "registry"])
    async with door.opened() as port, services as under_test:

        def through(url: str) -> str:
            return url.replace(f":{plain.port}/", f":{port}/") + f"?sslmode=verify-full&sslrootcert={trusted}"

        for service, made in under_test.databases.items():
            urls = {"OCOP_DATABASE_URL": through(made.app), "OCOP_DATABASE_HTTP_URL": through(made.http)}
            await under_test.start(service, ready=True, **urls)
        stop = asyncio.Event()
        sending = asyncio.create_task(_keep_sending(under_test, stop))
        trust(trusted, [old, new])
        door.certify(new)
        await under_test.healed(60)
        trust(trusted, [new])
        door.certify(new)
        await under_test.healed(60)
        stop.set()
        sent = await sending
        await under_test.settled(60)
        await all_applied(under_test, 40 * sent)
        assert all(each.process.poll() is None for each in under_test.processes), "nobody was started again"
        door.certify(old)
        with pytest.raises(ssl.SSLCertVerificationError):
            await database.connect(through(under_test.databases["registry"].app))


async def _keep_sending(under_test: System, stop: asyncio.Event) -> int:
    """How many lots of ten families were taken until it was told to stop."""
    taken = 0
    while not stop.is_set():
        await send(under_test, 10, start=1000 + 100 * taken)
        taken += 1
    return taken
