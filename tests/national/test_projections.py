"""From one event to its rows, and from a topic to the same tables however it was read."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from national.folding import fold
from national.projections import PROJECTIONS

from contracts.names import Ref, aggregate_id
from contracts.topics import TOPICS
from ocop.history.events import Event, Reporter, listed, owner_registered, product_registered, recognised, renewed
from servicekit import database
from servicekit.database import Pool
from servicekit.message import Message
from servicekit.projector import Event as DomainEvent
from servicekit.projector import Projectors
from tests.engines import Database
from tests.national.asking import ask
from tests.national.feed import Services, empty, read, said_of

REPORTER = Reporter("2025-68", "2004-67", "2025-06-30T00:00:00+07:00")
LATER = Reporter("2025-68", "2004-67", "2026-08-05T00:00:00+07:00")
PLACE = {"province": {"catalogue": "2004", "code": "67"}}
TABLES = [table for projection in PROJECTIONS for table in projection.tables]


def id_of(kind: str, ref: str) -> UUID:
    return aggregate_id(kind, Ref(namespace="2004-67", ref=ref))


def moved(name: str = "Gạo ST25", day: str = "2025-07-01") -> Event:
    event = product_registered(
        LATER, "SP", "CT", name=name, place={"province": {"catalogue": "2025", "code": "68"}}, effective_on=day
    )
    return event | {"type": "vn.ocop.province.product.updated.v1", "id": f"moved-{day}"}


def history() -> list[Event]:
    """A product that is recognised, moved to the new map, renewed, listed and delisted."""
    return [
        owner_registered(REPORTER, "CT", kind="household"),
        product_registered(REPORTER, "SP", "CT", name="Gạo Séng Cù", place=PLACE),
        recognised(REPORTER, "act-1", "SP", "2022-1", stars=3, issued_on="2022-06-19", group="food"),
        listed(REPORTER, "NY", "SP", platform="voso", listed_on="2024-02-01"),
        moved(),
        renewed(LATER, "act-2", "SP", "2025-1", stars=4, issued_on="2025-06", previous_ref="2022-1"),
        listed(LATER, "NY", "SP", platform="voso")
        | {
            "type": "vn.ocop.province.listing.delisted.v1",
            "id": "gone",
            "data": {"listing": LATER.ref("NY"), "delisted_on": "2026-05-02"},
        },
    ]


def rows_of(message: Message) -> dict[str, list[tuple[Any, ...]]]:
    assert message.envelope is not None and message.data is not None, message.error
    [projection] = [each for each in PROJECTIONS if each.topic == message.topic]
    return {name: list(rows) for name, rows in projection.rows(DomainEvent.of(message)).items()}


def columns_of(table: str) -> tuple[str, ...]:
    [found] = [each.columns for each in TABLES if each.name == table]
    return found


def as_dicts(rows: dict[str, list[tuple[Any, ...]]], table: str) -> list[dict[str, Any]]:
    return [dict(zip(columns_of(table), row, strict=True)) for row in rows[table]]


# --- rows ---


def test_every_domain_topic_is_read_and_no_other() -> None:
    assert {each.topic for each in PROJECTIONS} == {topic.name for topic in TOPICS.values() if topic.kind == "domain"}


def test_every_row_names_its_subject_first_and_the_event_that_made_it_last() -> None:
    for message in said_of(history()):
        assert message.envelope is not None
        made_by = UUID(message.envelope.id)
        for name, rows in rows_of(message).items():
            for row in rows:
                assert len(row) == len(columns_of(name))
                if not name.endswith("_event"):
                    assert str(row[0]) == message.envelope.subject
                    assert row[-1] == made_by


def test_the_event_itself_is_kept_with_the_submission_behind_it() -> None:
    services = Services()
    first, second = services.submit(history()[0]), services.submit(history()[1])
    assert first.envelope is not None
    [kept] = as_dicts(rows_of(second), "product_event")
    assert (kept["source"], kept["event_id"]) == ("/provinces/2025-68/ocop", "2004-67-SP")
    assert (kept["topic"], kept["subject"], kept["sequence"]) == ("ocop.registry.product", id_of("product", "SP"), 1)
    assert (kept["namespace"], kept["tenant"], kept["stated_on"]) == ("2004-67", "2025-68", date(2025, 6, 30))
    assert kept["payload"] == second.payload.decode()


def test_what_is_said_of_an_old_document_later_names_the_later_submission() -> None:
    messages = said_of(history())
    assert [as_dicts(rows_of(m), "recognition_event")[0]["event_id"] for m in (messages[2], messages[5])] == [
        "act-1",
        "act-2",
    ]
    assert as_dicts(rows_of(messages[6]), "listing_event")[0]["event_id"] == "gone"
    assert as_dicts(rows_of(messages[4]), "product_event")[0]["event_id"] == "moved-2025-07-01"


def test_an_event_that_no_submission_stands_behind_names_none() -> None:
    message = said_of(history())[0]
    assert message.envelope is not None
    by_itself = replace(message, envelope=replace(message.envelope, correlationid=str(UUID(int=1))))
    [kept] = as_dicts(rows_of(by_itself), "owner_event")
    assert (kept["source"], kept["event_id"]) == (None, None)


def test_a_products_documents_become_days_with_places_on_both_maps() -> None:
    rows = rows_of(said_of(history())[4])
    assert [row[1:11] for row in rows["product_period"]] == [
        (
            date.min,
            date(2025, 7, 1),
            id_of("owner", "CT"),
            "Gạo Séng Cù",
            "gao seng cu",
            None,
            "67",
            (),
            "68",
            (),
        ),
        (date(2025, 7, 1), date.max, id_of("owner", "CT"), "Gạo ST25", "gao st25", None, "67", (), "68", ()),
    ]


def test_a_products_acts_become_certificates_years_and_standings() -> None:
    rows = rows_of(said_of(history())[5])
    assert [row[1:6] for row in rows["certificate"]] == [
        (1, "2025-1", "renewed", "4", "unknown"),
        (2, "2022-1", "unknown", "3", "food"),
    ]
    assert [(row[1], row[2], row[6], row[7]) for row in rows["issue"]] == [
        (1, "2025", date(2025, 6, 1), date(2025, 6, 30)),
        (2, "2022", date(2022, 6, 19), date(2022, 6, 19)),
    ]
    assert [row[1:9] for row in rows["standing"]] == [
        (date(2022, 6, 19), date(2025, 6, 1), "2022-1", "3", "food", True, True, True),
        (date(2025, 6, 1), date(2025, 6, 20), "2025-1", "4", "unknown", True, False, False),
        (date(2025, 6, 20), date(2025, 6, 30), "2025-1", "4", "unknown", False, False, False),
        (date(2025, 6, 30), date(2028, 6, 2), "2025-1", "4", "unknown", True, True, True),
        (date(2028, 6, 2), date(2028, 7, 1), "2025-1", "4", "unknown", False, False, False),
    ]


def test_an_act_of_an_unknown_day_can_be_of_every_year_since_the_programme_began() -> None:
    act = recognised(REPORTER, "act", "SP", "1")
    rows = rows_of(said_of([*history()[:2], act])[2])
    assert [row[2] for row in rows["issue"]] == [str(year) for year in range(2018, 2026)]
    assert {row[7] for row in rows["issue"]} == {date.max}


def test_what_was_never_issued_leaves_no_days() -> None:
    wrong = recognised(LATER, "void", "SP", "2022-1", void=True)
    wrong["type"] = "vn.ocop.province.recognition.corrected.v1"
    rows = rows_of(said_of([*history()[:3], wrong])[3])
    assert (rows["certificate"], rows["issue"], rows["standing"]) == ([], [], [])
    assert len(rows["recognition"]) == 1


def test_a_trial_event_is_kept_and_counted_by_nothing() -> None:
    for message in said_of(history()):
        assert message.envelope is not None
        rows = rows_of(replace(message, envelope=replace(message.envelope, canary=True)))
        [(name, [kept])] = rows.items()
        assert name.endswith("_event")
        assert dict(zip(columns_of(name), kept, strict=True))["canary"] is True


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Gạo ST25", "gao st25"),
        ("ĐƯỜNG thốt nốt \u2013 Bảy Núi", "duong thot not bay nui"),
        ("Nấm (Fresh) Cordyceps®", "nam fresh cordyceps"),
        ("Mu\u031bo\u031b\u0301p", "muop"),  # marks as signs of their own
        ("🌾!%_", ""),
        ("İstanbul ß ﬁ ½", "istanbul ss fi 1 2"),
    ],
)
def test_a_name_is_folded_for_searching(name: str, words: str) -> None:
    assert fold(name) == words
    assert fold(words) == words


# --- the tables ---


async def tables(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that were made, in an order of their own."""
    connection = await database.connect(url)
    try:
        found = {}
        for table in TABLES:
            rows = await connection.fetch(f"SELECT {table.name}::text AS row FROM {table.name} ORDER BY 1")  # noqa: S608  # our own names
            found[table.name] = [tuple(row) for row in rows]
        return found
    finally:
        await connection.close()


async def test_however_it_was_read_the_tables_are_the_same(national: Database, pool: Pool) -> None:
    messages = said_of(history())
    shuffled = random.Random(4).sample([*messages, *messages[2:5]], len(messages) + 3)  # noqa: S311  # not a secret
    ways: Sequence[tuple[list[Message], int]] = ((messages, 500), (messages, 1), (messages[::-1], 1), (shuffled, 2))
    found = []
    for said, at_a_time in ways:
        await empty(national)
        await read(pool, said, at_a_time)
        assert await pool.fetchval("SELECT count(*) FROM held") == 0
        found.append(await tables(national.superuser))
    assert all(each == found[0] for each in found)
    assert {name: len(rows) for name, rows in found[0].items()} == {
        "owner_event": 1,
        "owner": 1,
        "owner_period": 1,
        "product_event": 2,
        "product": 1,
        "product_period": 2,
        "recognition_event": 2,
        "recognition": 1,
        "certificate": 2,
        "issue": 2,
        "standing": 5,
        "listing_event": 2,
        "listing": 1,
        "offer": 1,
    }


async def test_while_something_is_put_aside_figures_are_incomplete(pool: Pool, http: httpx2.AsyncClient) -> None:
    said = said_of(history())
    await read(pool, [*said[:4], said[5]])
    assert (await ask(http, "/v1/figures/products"))["incomplete"] is False
    later = said_of([*history(), moved("Gạo khác", "2025-08-01")])[-1]
    await read(pool, [later])
    found = await ask(http, "/v1/figures/products")
    assert (found["incomplete"], found["count"]) == (True, 1)
    await read(pool, [said[4]])
    assert (await ask(http, "/v1/figures/products"))["incomplete"] is False
    assert (await ask(http, "/v1/products?q=gao+khac"))["products"] != []


async def test_a_recognition_that_is_faster_than_its_product_counts_when_that_has_come(
    pool: Pool, http: httpx2.AsyncClient
) -> None:
    said = said_of(history())
    await read(pool, said[2:4])
    assert (await ask(http, "/v1/figures/products?at=2025-01-01"))["count"] == 0
    await read(pool, [said[1]])
    found = await ask(http, "/v1/figures/products?at=2025-01-01&by=owner_kind")
    assert [(cell["owner_kind"], cell["count"]) for cell in found["cells"]] == [("not_stated", 1)]
    await read(pool, [said[0]])
    found = await ask(http, "/v1/figures/products?at=2025-01-01&by=owner_kind")
    assert [(cell["owner_kind"], cell["count"]) for cell in found["cells"]] == [("household", 1)]


async def test_trial_events_move_no_figure(pool: Pool, http: httpx2.AsyncClient) -> None:
    trial = []
    for message in said_of(history()):
        headers = (*message.headers, ("ce_canary", b"true"))
        assert message.envelope is not None
        trial.append(replace(message, headers=headers, envelope=replace(message.envelope, canary=True)))
    await read(pool, trial)
    found = await ask(http, "/v1/figures/products?at=2025-01-01")
    assert (found["count"], found["reported_up_to"]) == (0, {})
    assert (await ask(http, "/v1/products"))["products"] == []
    assert await pool.fetchval("SELECT count(*) FROM event") == len(trial)


async def test_the_http_role_reads_and_writes_nothing(national: Database) -> None:
    connection = await database.connect(national.http)
    names = ["event", *(table.name for table in TABLES)]
    for name in names:
        for attempt in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(attempt.format(name))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT payload FROM held")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE own (id bigint)")
    await connection.close()


async def test_events_are_never_changed_by_the_application(pool: Pool) -> None:
    for attempt in ("UPDATE event SET tenant = 'x'", "DELETE FROM owner_event", "TRUNCATE event"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(attempt)


async def test_an_event_that_is_said_twice_under_two_numbers_is_put_aside_not_counted_twice(pool: Pool) -> None:
    said = said_of(history())
    await read(pool, said[:1])
    assert said[0].envelope is not None
    twice = replace(said[0], envelope=replace(said[0].envelope, subjectsequence=2))
    with pytest.raises(asyncpg.UniqueViolationError):
        await read(pool, [twice])
    projectors = Projectors(PROJECTIONS)
    async with pool.acquire() as connection, connection.transaction():
        await projectors.fail(connection, twice, {"class": "UniqueViolationError"})
    assert await pool.fetchval("SELECT reason FROM held") == "failed"


async def test_an_overview_of_products_that_no_province_has_for_certain(pool: Pool, http: httpx2.AsyncClient) -> None:
    """All that is counted is in one of two provinces of the old map: there is a bar for it, and none for a province."""
    new = {"province": {"catalogue": "2025", "code": "80"}}
    product = product_registered(REPORTER, "SP", "CT", name="Gạo", place=new)
    act = recognised(REPORTER, "act", "SP", "1", stars=3, issued_on="2025-01-01")
    await read(pool, said_of([owner_registered(REPORTER, "CT", kind="household"), product, act]))
    answer = await http.get("/?map=2004&at=2025-06-30")
    assert answer.status_code == 200
    assert 'rect class="maybe" width="100.0%"' in answer.text
