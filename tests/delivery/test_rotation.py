"""Keys and passwords are changed under load, as operators are told to; a suspended tenant is refused everywhere.

Commands are those of the operators' page. Certificates are in `test_tls`.
"""

import asyncio
import json
import random
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import httpx2
from gateway import tenants

from ocop import passwords, provision
from ocop.services import SERVICES, Service
from servicekit import database
from tests.delivery import ledger, verdict
from tests.delivery.author import Author
from tests.delivery.ledger import Ledger
from tests.delivery.load import Load, enrolled
from tests.delivery.system import REPOSITORY, Process, System, system
from tests.delivery.system import SERVICES as DELIVERING
from tests.engines import Database, Databases, Engines
from tests.gateway.serving import BATCH, SINGLE
from tests.typed import said, typed
from tests.waiting import until

SEED, RATE = 5, 60.0
REFUSED_S = 5.0  # what is promised of a key that has ended
TENANT, SYSTEM = "2025-80", "ocop"  # of the load's, and of the page's commands
SOURCE = f"/provinces/{TENANT}/{SYSTEM}"
ROLES = [role for service in SERVICES for role in service.roles]
DECIDING = ("gateway", "registry", "evaluation", "marketplace")


def line(beginning: str) -> str:
    """The one line of the operators' section that begins so, without its remark."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    section = page.split("\n## Rotate\n")[1].split("\n## ")[0]
    (found,) = (each.split("  #")[0] for each in section.splitlines() if each.startswith(beginning))
    return found


def command(beginning: str) -> list[str]:
    """Its words."""
    return shlex.split(line(beginning))


@asynccontextmanager
async def under_load(under_test: System, directory: Path) -> AsyncIterator[Load]:
    """A load over all gateways from before until after; then everything accepted has ended where it was to."""
    keys = await enrolled(under_test)
    gateways = [each.url for each in under_test.running("gateway")]
    with closing(Ledger(directory / "ledger")) as book:
        load, stop = Load(SEED, gateways, keys, book, RATE), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(stop.is_set))
            await more(load, 60)
            yield load
            await more(load, 60)
            stop.set()
    entries = ledger.read(directory / "ledger")
    under_test.refused |= verdict.refused(entries)
    await under_test.settled(60)
    found = await verdict.compare(under_test.bootstrap, under_test.urls, entries)
    assert [str(finding) for finding in found] == []
    assert all(each.process.poll() is None for each in under_test.processes), "nobody was started again"


async def more(load: Load, events: int) -> None:
    """So many events have been accepted since."""
    before = load.answers["accepted"]
    await until(lambda: is_so(load.answers["accepted"] >= before + events), 60)


async def is_so(what: bool) -> bool:
    """For `until`."""
    return what


def kept_back(load: Load) -> int:
    """How many events were kept back."""
    return load.answers["unavailable"]


async def answers(gateway: Process, key: str, wanted: int) -> bool:
    """Whether a gateway answers so to somebody who asks."""
    async with httpx2.AsyncClient(timeout=15) as client:
        url = f"{gateway.url}/v1/submissions?limit=1"
        return (await client.get(url, headers={"Authorization": f"Bearer {key}"})).status_code == wanted


async def lasts(ask: Callable[[], Awaitable[bool]], since: datetime) -> float:
    """Seconds from a moment until the last asking began that was not yet answered so; 0 if there was none."""
    last = since

    async def answered() -> bool:
        nonlocal last
        began = datetime.now(UTC)
        if await ask():
            return True
        last = began
        return False

    await until(answered)
    return (last - since).total_seconds()


async def done(under_test: System, beginning: str) -> tuple[str, datetime]:
    """What a command of the page says, given beside the gateway; and when it was done, by the database."""
    _, *words = command(beginning)
    printed = await said(under_test.databases["gateway"], *words)
    ((at,),) = await under_test.fetch("gateway", "SELECT max(at) FROM operation WHERE what = $1", " ".join(words[:2]))
    return printed.strip(), at


async def test_a_key_is_rotated_and_a_tenant_suspended_under_load(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    """Two gateways. The province takes its new key when the old one is refused, and sends again what was not taken."""
    async with system(kafka_topics, databases, tmp_path, DECIDING) as under_test:
        await under_test.start_all()
        gateways = [*under_test.running("gateway"), await under_test.start("gateway")]

        async def last(key: str, wanted: int, since: datetime) -> float:
            each = [lasts(partial(answers, gateway, key, wanted), since) for gateway in gateways]
            return max(await asyncio.gather(*each))

        async with under_load(under_test, tmp_path) as load:
            old = load.keys[SOURCE]
            new, since = await done(under_test, "ocop tenant rotate")
            load.new_keys[SOURCE] = new
            assert await last(new, 200, since) == 0
            assert await last(old, 401, since) < REFUSED_S
            await until(lambda: is_so(load.keys[SOURCE] == new))

            before = kept_back(load)
            _, since = await done(under_test, "ocop tenant suspend")
            assert await last(new, 401, since) < REFUSED_S
            await until(lambda: is_so(kept_back(load) > before))
            _, since = await done(under_test, "ocop tenant reinstate")
            assert await last(new, 200, since) < REFUSED_S
        entries = ledger.read(tmp_path / "ledger")
        refused = {entry.sending.source for entry in entries if entry.answer.code == "401"}
        assert refused == {SOURCE}, "of the others nobody notices"


async def test_a_suspended_tenant_is_refused_on_every_route(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    """On each replica; what is asked anew, and what was under way: a body that comes slowly, an answer waited for."""
    async with system(kafka_topics, databases, tmp_path, ["gateway"]) as under_test:
        gateways = [await under_test.start("gateway"), await under_test.start("gateway")]
        async with httpx2.AsyncClient(timeout=40) as client:
            first, late = await sender(under_test, "first"), await sender(under_test, "late")
            (answer,) = await under_test.submit([json.loads(first.event)], tenant=TENANT, system="first")
            address = f"/v1/submissions/{answer['submission_id']}"
            resume = asyncio.Event()
            slow = [asyncio.create_task(send_slowly(client, each, first, resume)) for each in gateways]
            waiting = [asyncio.create_task(first.get(client, each, f"{address}?wait=30")) for each in gateways]

            found = await asyncio.gather(*(asked(client, each, address, first) for each in gateways))
            routes = dict.fromkeys(await described(client, gateways[0]), True)
            assert [{route: max(codes) < 300 for route, codes in each.items()} for each in found] == [routes] * 2

            # A key that was looked up a moment ago: if it were kept for too long, it would be seen here.
            assert [(await late.get(client, each, address)).status_code for each in gateways] == [200, 200]
            connection, since = await database.connect(under_test.databases["gateway"].app), datetime.now(UTC)
            await tenants.suspend(connection, TENANT)
            await connection.close()
            each = [lasts(partial(all_refused, client, gateway, address, late), since) for gateway in gateways]
            assert max(await asyncio.gather(*each)) < REFUSED_S
            assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {401}
            resume.set()
            assert {answer.status_code for answer in await asyncio.gather(*slow)} == {401}
        assert (json.loads(first.another)["id"],) not in await under_test.fetch(
            "gateway", "SELECT event_id FROM submission"
        )


@dataclass(frozen=True, slots=True)
class Sender:
    """One of the tenant's systems: its key, an event, and another."""

    headers: Mapping[str, str]
    event: bytes
    another: bytes

    async def get(self, client: httpx2.AsyncClient, gateway: Process, path: str) -> httpx2.Response:
        """Asks for something."""
        return await client.get(f"{gateway.url}{path}", headers=self.headers)

    async def post(
        self, client: httpx2.AsyncClient, gateway: Process, content: bytes | AsyncIterator[bytes], kind: str, query: str
    ) -> httpx2.Response:
        """Sends something."""
        headers = {**self.headers, "Content-Type": kind}
        return await client.post(f"{gateway.url}/v1/events{query}", content=content, headers=headers)


async def sender(under_test: System, name: str) -> Sender:
    """A system that is enrolled."""
    author = Author(TENANT, name, random.Random(SEED))  # noqa: S311  # repeatable, not secret
    event, another = (author.owner(author.name("CT")).content for _ in range(2))
    return Sender({"Authorization": f"Bearer {await under_test.key(TENANT, name)}"}, event, another)


async def described(client: httpx2.AsyncClient, gateway: Process) -> list[str]:
    """Every route that wants a key, as the interface describes itself."""
    paths = (await client.get(f"{gateway.url}/openapi.json")).json()["paths"]
    return [f"{verb} {path}" for path, verbs in paths.items() for verb, each in verbs.items() if "security" in each]


async def asked(client: httpx2.AsyncClient, gateway: Process, address: str, by: Sender) -> dict[str, set[int]]:
    """What every route answers, in each of its forms."""
    posted = [
        await by.post(client, gateway, content, kind, query)
        for query in ("", "?dry_run=true")
        for kind, content in ((SINGLE, by.event), (BATCH, b"[" + by.event + b"]"))
    ]
    one, several = [await by.get(client, gateway, path) for path in (address, "/v1/submissions")]
    return {
        "post /v1/events": {answer.status_code for answer in posted},
        "get /v1/submissions/{submission_id}": {one.status_code},
        "get /v1/submissions": {several.status_code},
    }


async def all_refused(client: httpx2.AsyncClient, gateway: Process, address: str, by: Sender) -> bool:
    """Whether every route does."""
    return set.union(*(await asked(client, gateway, address, by)).values()) == {401}


async def send_slowly(
    client: httpx2.AsyncClient, gateway: Process, by: Sender, resume: asyncio.Event
) -> httpx2.Response:
    """A body of which the second half comes late."""

    async def halves() -> AsyncIterator[bytes]:
        yield by.another[:20]
        await resume.wait()
        yield by.another[20:]

    return await by.post(client, gateway, halves(), SINGLE, "")


class Provisioned(Databases):
    """The databases of services that others start, as `ocop provision` has made them."""

    def __init__(self, superuser_url: str, secrets: Path) -> None:
        super().__init__(superuser_url)
        self._superuser_url, self._secrets = superuser_url, secrets

    async def make(self, service: str) -> Database:
        """Addresses with the files of their passwords, as commands and oracles take them."""
        (found,) = (each for each in SERVICES if each.wire == service)
        owner, app, http = (
            database.with_password_file(address(self._superuser_url, found, role), self._secrets / role)
            for role in found.roles
        )
        return Database(found, found.database, owner, app, http, self._superuser_url)


def address(superuser_url: str, service: Service, role: str) -> str:
    """A service's database, without a password."""
    return provision.address(superuser_url, service.database, role).replace(":@", "@")


def told_by_files(superuser_url: str, service: Service, secrets: Path, directory: Path) -> dict[str, str]:
    """A service's settings as a container has them: passwords are files."""
    _, app, http = service.roles
    directory.mkdir(exist_ok=True)
    for name, role in (("ocop_database_password", app), ("ocop_database_http_password", http)):
        (directory / name).hardlink_to(secrets / role)  # the same file, as a container has it
    return {
        "OCOP_DATABASE_URL": address(superuser_url, service, app),
        "OCOP_DATABASE_HTTP_URL": address(superuser_url, service, http),
        "OCOP_SECRETS": str(directory),
    }


async def test_passwords_are_renewed_under_load(engines: Engines, tmp_path: Path) -> None:
    """Of every role of every service. First the files, by which nobody is let in yet: connections go on being opened
    by the password before. Then the server. In the wrong order there is an outage until the files are there, no more;
    who is in stays in, so that all are thrown out each time."""
    secrets = tmp_path / "secrets"
    passwords.make(secrets)
    elsewhere = {
        "OCOP_SERVICES_URL": "http://{service}:8080",
        "OCOP_KAFKA_BOOTSTRAP": engines.kafka_bootstrap,
        "OCOP_POSTGRES_URL": engines.postgres_url,
        "OCOP_SECRETS": str(secrets),
    }
    await provide(elsewhere, "provision")
    databases = Provisioned(engines.postgres_url, secrets)
    async with system(engines.kafka_bootstrap, databases, tmp_path, DELIVERING) as under_test:
        for service in under_test.databases.values():
            told = told_by_files(engines.postgres_url, service.service, secrets, tmp_path / service.service.name)
            await under_test.start(service.service.wire, ready=False, **told)
        for process in under_test.processes:
            await process.ready()
        async with under_load(under_test, tmp_path) as load:
            before = {role: (secrets / role).read_text() for role in ROLES}
            await renew(secrets)
            assert all((secrets / role).read_text() != password for role, password in before.items())
            await thrown_out(engines)
            await more(load, 60)
            await provide(elsewhere, *command("docker compose run --rm provision")[4:])
            await thrown_out(engines)
            await more(load, 60)
            for role, password in before.items():
                assert not await lets_in(engines, role, password)

            unknown = kept_back(load)
            await given(engines, "of-nobody")
            await thrown_out(engines)
            await until(lambda: is_so(kept_back(load) > unknown))
            for role in ROLES:
                (secrets / role).chmod(0o600)
                (secrets / role).write_text("of-nobody")
            await under_test.healed(60)


async def renew(secrets: Path) -> None:
    """Other passwords, by the page's command, which names one service."""
    words = command("python3 -m ocop.passwords")
    for service in SERVICES:
        typed = [str(secrets) if "/" in word else word.replace("gateway", service.wire) for word in words]
        await asyncio.to_thread(subprocess.run, [sys.executable, *typed[1:]], cwd=REPOSITORY, check=True)


async def provide(environment: dict[str, str], *arguments: str) -> None:
    """As the container of that name does."""
    ended = await typed(environment, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


ROLES = [role for service in SERVICES for role in service.roles]


async def lets_in(engines: Engines, role: str, password: str) -> bool:
    """Whether the server takes a password."""
    try:
        connection = await asyncpg.connect(provision.address(engines.postgres_url, "postgres", role, password))
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


async def given(engines: Engines, password: str) -> None:
    """The server wants this one of every role."""
    superuser = await asyncpg.connect(engines.postgres_url)
    try:
        for role in ROLES:
            await superuser.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
    finally:
        await superuser.close()


async def thrown_out(engines: Engines) -> None:
    """Ends every connection of a service's, so that it must be let in again."""
    statement = line("SELECT pg_terminate_backend")
    superuser = await asyncpg.connect(engines.postgres_url)
    try:
        for service in SERVICES:
            assert await superuser.fetch(statement.replace("gateway", service.wire))
    finally:
        await superuser.close()
