"""One tenant's key and another's data: each query that the application runs for HTTP is run as another tenant, straight
on the database; then every route is asked for what is another's.
"""

import ast
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from fastapi.routing import APIRoute
from gateway import api
from gateway.settings import Settings

from servicekit import database
from tests.engines import Database, Databases
from tests.gateway.serving import BATCH, SINGLE, Served, served
from tests.submissions import event, owner, product, ref, withdrawal

TENANTS = ("2025-68", "2025-80", "2025-92")
GATEWAY = Path(api.__file__).parent
HTTP_MODULES = [GATEWAY / f"{name}.py" for name in ("api", "gate", "body", "intake", "store")]
ASKS = ("fetch", "fetchrow", "fetchval", "execute", "executemany", "copy_records_to_table", "cursor", "prepare")
# What workers ask on the application's role, and what is asked before a tenant is known.
NOT_FOR_HTTP = {"due_again"}
OF_NO_TENANT = {"holder", "outbox_bound", "enter"}


@dataclass(frozen=True)
class Call:
    """A place in the code that asks the database."""

    function: str
    pattern: re.Pattern[str] | None  # None: what is asked is not written there

    def __str__(self) -> str:
        return self.function


def calls(path: Path) -> Iterator[Call]:
    """Every call that asks the database, by the function that it stands in."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKS:
                yield Call(function.name, _pattern(node.args[0]) if node.args else None)


def _pattern(text: ast.expr) -> re.Pattern[str] | None:
    if isinstance(text, ast.Constant):
        return re.compile(re.escape(str(text.value)))
    if isinstance(text, ast.JoinedStr):
        parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*" for p in text.values]
        return re.compile("".join(parts), re.DOTALL)
    return None


@dataclass
class Asked:
    """What the application has asked through its HTTP role."""

    queries: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def log(self, record: Any) -> None:
        """Keeps one."""
        if record.query not in ("BEGIN;", "COMMIT;", "ROLLBACK;", "BEGIN READ ONLY;"):
            self.queries.append((record.query, tuple(record.args or ())))

    def of(self, call: Call) -> list[tuple[str, tuple[Any, ...]]]:
        """What was asked from that place."""
        return [each for each in self.queries if call.pattern and call.pattern.fullmatch(each[0])]


@dataclass
class Walls:
    """A gateway with what several tenants have sent, and a look at what it asks."""

    made: Database
    gateway: Served
    keys: dict[str, dict[str, str]]
    taken: dict[str, list[dict[str, Any]]]
    asked: Asked

    async def get(self, tenant: str, path: str) -> httpx2.Response:
        """As that tenant."""
        return await self.gateway.client.get(path, headers=self.keys[tenant])

    async def post(self, tenant: str, content: Any, kind: str = BATCH, query: str = "") -> httpx2.Response:
        """As that tenant."""
        headers = {"Content-Type": kind, **self.keys[tenant]}
        return await self.gateway.client.post(f"/v1/events{query}", content=json.dumps(content), headers=headers)


def of_tenant(tenant: str) -> list[dict[str, Any]]:
    """What a tenant sends: an owner, its product, and a withdrawal."""
    events = [
        owner(id_=f"o-{tenant}", owner=ref("CT-1", tenant)),
        product(id_=f"p-{tenant}", product=ref("SP-1", tenant), owner=ref("CT-1", tenant)),
        withdrawal(f"p-{tenant}", id_=f"w-{tenant}"),
    ]
    return [each | {"source": f"/provinces/{tenant}/test"} for each in events]


@pytest.fixture
async def walls(databases: Databases) -> AsyncIterator[Walls]:
    made = await databases.make("gateway")
    async with served(made, database_pool=2) as gateway:
        asked = Asked()
        one = await gateway.http_pool.acquire()
        two = await gateway.http_pool.acquire()
        for connection in (one, two):
            connection.add_query_logger(asked.log)
        await gateway.http_pool.release(one)
        await gateway.http_pool.release(two)
        keys = {tenant: await gateway.key(tenant) for tenant in TENANTS}
        found = Walls(made, gateway, keys, {}, asked)
        for tenant in TENANTS:
            answer = await found.post(tenant, of_tenant(tenant))
            found.taken[tenant] = answer.json()["results"]
            assert [each["status"] for each in found.taken[tenant]] == ["accepted"] * 3
        async with gateway.pool.acquire() as connection:
            for tenant in TENANTS:
                await connection.execute(
                    """INSERT INTO outcome (source, event_id, submission_id, number, tenant, state, params, event_ids)
                       SELECT source, event_id, id, 1, tenant, 'applied', '{}', '{}' FROM submission
                       WHERE tenant = $1""",
                    tenant,
                )
        yield found


async def ask_everything(walls: Walls, tenant: str) -> None:
    """Every route, about the tenant's own."""
    for each in walls.taken[tenant]:
        assert (await walls.get(tenant, f"/v1/submissions/{each['submission_id']}?wait=0")).status_code == 200
    assert len((await walls.get(tenant, "/v1/submissions?since=2020-01-01T00:00:00Z")).json()["submissions"]) == 3
    assert (await walls.post(tenant, of_tenant(tenant))).status_code == 200


# -------------------------------------------------------------------- straight on the database


async def test_each_query_of_the_application_shows_another_tenant_nothing(walls: Walls) -> None:
    await ask_everything(walls, "2025-68")
    places = [call for path in HTTP_MODULES for call in calls(path) if call.function not in NOT_FOR_HTTP]
    assert len(places) >= 8
    assert [str(call) for call in places if not walls.asked.of(call)] == [], "asked nowhere in this test: not covered"
    known = [call for call in places if call.function in OF_NO_TENANT]
    queries = [each for each in walls.asked.queries if not any(each in walls.asked.of(call) for call in known)]
    own = [each for each in queries if "2025-68" in str(each[1]) or _ids(walls, "2025-68") & set(map(str, each[1]))]
    everybodys = {*TENANTS, *(_id for tenant in TENANTS for _id in _ids(walls, tenant))}
    nobodys = [
        each for each in queries if "FROM submission" in each[0] and not any(n in str(each[1]) for n in everybodys)
    ]
    assert len({query for query, _ in nobodys}) == 1, "the list alone names nobody: only the wall says whose it is"
    connection = await database.connect(walls.made.http)
    seen = 0
    try:
        for query, arguments in own:
            for tenant in ("2025-80", "2025-92", "", None):
                transaction = connection.transaction()
                await transaction.start()
                if tenant is not None:
                    await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant)
                if "INSERT INTO" in query:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                        await connection.execute(query, *arguments)
                else:
                    assert await connection.fetch(query, *arguments) == [], (tenant, query)
                await transaction.rollback()
            seen += len(await _rows_for(connection, "2025-68", query, arguments))
        for query, arguments in nobodys:
            for tenant in ("2025-80", "2025-92", ""):
                rows = await _rows_for(connection, tenant, query, arguments)
                assert not any("2025-68" in str(row) for row in rows), (tenant, query)
                assert bool(rows) == (tenant != ""), (tenant, query)
            assert await _rows_for(connection, "2025-68", query, arguments)
    finally:
        await connection.close()
    assert seen > 10, "the owner of these rows sees them by the same queries"


def _ids(walls: Walls, tenant: str) -> set[str]:
    return {each["submission_id"] for each in walls.taken[tenant]}


async def _rows_for(connection: Any, tenant: str, query: str, arguments: tuple[Any, ...]) -> list[Any]:
    if "INSERT INTO" in query:
        return []
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant)
        return list(await connection.fetch(query, *arguments))


async def test_nobody_takes_anothers_ids_even_in_its_own_name(walls: Walls) -> None:
    """As if the first wall had let a foreign source pass."""
    connection = await database.connect(walls.made.http)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenant', '2025-80', true)")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await connection.execute(
                    """INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref,
                                               service, digest, body, headers, payload, received_at, repeat_at)
                       VALUES (gen_random_uuid(), '2025-80', '/provinces/2025-68/test', 'new', '', '',
                               gen_random_uuid(), '', '', '', '', '{}', '', now(), now())"""
                )
    finally:
        await connection.close()


@pytest.mark.parametrize(("tenant", "passes"), [("2025-68", True), ("2025-80", False), ("", False)])
async def test_nothing_goes_out_in_anothers_name(walls: Walls, tenant: str, passes: bool) -> None:
    connection = await database.connect(walls.made.http)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant)
            said = """INSERT INTO outbox (topic, key, headers, payload)
                      VALUES ('ocop.submission.registry', '', '{"ce_tenant": "2025-68"}', '')"""
            if passes:
                await connection.execute(said)
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                    await connection.execute(said)
    finally:
        await connection.close()


async def test_the_bound_still_sees_the_whole_outbox(walls: Walls) -> None:
    async with walls.gateway.http_pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM outbox_bound(100)")
    assert row is not None
    assert row["rows"] == 9


# -------------------------------------------------------------------- through HTTP


def test_every_route_is_walked() -> None:
    settings = Settings(kafka_bootstrap="-", database_url="-")
    app = api.build(None, settings, taken=lambda: None, begun=lambda: True)  # type: ignore[arg-type]  # not asked
    routes = {(method, r.path) for r in app.routes if isinstance(r, APIRoute) for method in r.methods or ()}
    assert routes == {
        ("POST", "/v1/events"),
        ("GET", "/v1/submissions/{submission_id}"),
        ("GET", "/v1/submissions"),
        ("GET", "/docs"),
    }


@pytest.mark.parametrize(("tenant", "other"), list(permutations(TENANTS, 2)))
async def test_what_is_anothers_is_as_if_it_were_not(walls: Walls, tenant: str, other: str) -> None:
    nothing = await walls.get(tenant, f"/v1/submissions/{UUID(int=7)}")
    assert nothing.status_code == 404
    for each in walls.taken[other]:
        for query in ("", "?wait=0"):
            answer = await walls.get(tenant, f"/v1/submissions/{each['submission_id']}{query}")
            assert (answer.status_code, answer.content) == (404, nothing.content)

    cursor = (await walls.get(other, "/v1/submissions?limit=1")).json()["next"]
    for query in ("", "?limit=500", "?state=received", "?since=2020-01-01T00:00:00Z", f"?after={cursor}"):
        answer = await walls.get(tenant, f"/v1/submissions{query}")
        ids = {each["submission_id"] for each in answer.json()["submissions"]}
        assert ids <= _ids(walls, tenant)
        assert f"/provinces/{other}/" not in answer.text


@pytest.mark.parametrize(("tenant", "other"), list(permutations(TENANTS, 2)))
async def test_what_is_anothers_is_answered_as_what_was_never_sent(walls: Walls, tenant: str, other: str) -> None:
    before = await walls.gateway.pool.fetch("SELECT id, state, body FROM submission ORDER BY id")
    known = of_tenant(other)
    unknown = [json.loads(json.dumps(each).replace("p-2025", "never-p-2025")) for each in known]
    unknown = [each | {"id": f"never-{each['id']}".replace("never-never-", "never-")} for each in unknown]
    for query in ("", "?dry_run=true"):
        for kind in (SINGLE, BATCH):
            for pair in zip(known, unknown, strict=True):
                for changed in ({}, {"source": f"/provinces/{tenant}/test"}):
                    sent = [each | changed for each in pair]
                    answers = [await walls.post(tenant, [e] if kind == BATCH else e, kind, query) for e in sent]
                    assert answers[0].status_code == answers[1].status_code
                    assert answers[0].text == answers[1].text.replace("never-", "")
                    assert "forbidden" in answers[0].text or "target-not-found" in answers[0].text
    assert await walls.gateway.pool.fetch("SELECT id, state, body FROM submission ORDER BY id") == before
    data = {"owner": ref("CT-1", other), "kind": "cooperative", "business_name": "Hợp tác xã thử nghiệm"}
    foreign = event("owner.registered", data, tenant=tenant)
    assert (await walls.post(tenant, foreign, SINGLE)).status_code == 403
