"""What provinces are told: once per rule and cause, when it is due, whatever comes twice or is down meanwhile."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import trustme
from notifications import letter, store
from notifications.domain import RULES
from notifications.intake import OUTCOMES, REVOCATIONS, hear
from notifications.postman import Postman
from notifications.settings import Settings

from contracts.envelope import Envelope, dataschema, encode, to_headers
from contracts.evaluation import RecognitionState
from contracts.outcome import Outcome, outcome_type
from contracts.topics import decode_event
from ocop import mailbox
from ocop.home import free_port
from servicekit import database
from servicekit.database import Pool
from servicekit.listener import Listener
from servicekit.message import Kept, Message, decode
from servicekit.projector import Event
from tests.engines import Databases
from tests.plans import most_rows

TENANT = "2025-68"
ADDRESS = "ocop@lamdong.example"
EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"


@dataclass(slots=True)
class Office:
    """The service's parts on a database, beside a real mail server that can be shut."""

    pool: Pool
    postman: Postman
    port: int
    directory: Path
    server: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The mail server listens from now on."""
        self.server = asyncio.create_task(mailbox.serve(self.port, self.directory))
        async with asyncio.timeout(5):
            while not await mailbox.answers(self.port):
                await asyncio.sleep(0.01)

    async def hears(self, *messages: Message, waiting_after_s: float = 86_400) -> None:
        """Takes outcomes as the service does."""
        listener = Listener(OUTCOMES, hear(timedelta(seconds=waiting_after_s)))
        async with self.pool.acquire() as connection, connection.transaction():
            await listener.handle(connection, messages)

    async def contact(self, tenant: str = TENANT, address: str = ADDRESS) -> None:
        """Sets whom to tell."""
        async with self.pool.acquire() as connection:
            await store.set_contact(connection, tenant, address)

    def mails(self) -> list[EmailMessage]:
        """What the server has kept."""
        return mailbox.read(self.directory)


@pytest.fixture
async def office(databases: Databases, tmp_path: Path) -> AsyncIterator[Office]:
    made = await databases.make("notifications")
    pool, port = await database.open_pool(made.app), free_port()
    settings = Settings(kafka_bootstrap="-", database_url=made.app, smtp_port=port)
    made_office = Office(pool, Postman(pool, settings), port, tmp_path)
    await made_office.open()
    yield made_office
    if made_office.server is not None:
        made_office.server.cancel()
        await asyncio.gather(made_office.server, return_exceptions=True)
    await pool.close()


def outcome(
    state: str, submission: UUID, number: int = 1, *, tenant: str = TENANT, ago: timedelta = timedelta(), **said: Any
) -> Message:
    """An outcome of a submission that was received a while ago."""
    type_ = outcome_type("registry", state)
    received = datetime.now(UTC) - ago
    envelope = Envelope(
        id=str(uuid4()),
        source="/services/registry",
        type=type_,
        subject=str(submission),
        time=received,
        dataschema=dataschema(type_),
        tenant=tenant,
        correlationid=str(submission),
        causationid=str(submission),
        recordedtime=received,
        subjectsequence=number,
    )
    data = Outcome(
        submission_id=submission,
        source=f"/provinces/{tenant}/test",
        event_id=f"event-{submission}",
        type="vn.ocop.province.product.registered.v1",
        subject=uuid4(),
        state=state,
        **said,
    )
    lines = tuple((name, value.encode()) for name, value in to_headers(envelope).items())
    return decode(Kept("ocop.registry.outcome", 0, number, lines, encode(data)))


def rejection(submission: UUID, **more: Any) -> Message:
    params = {"ref": "2025-68/SP-1"}
    return outcome("rejected", submission, code="already-registered", pointer="/data/product", params=params, **more)


async def test_a_rejection_is_told_once(office: Office) -> None:
    await office.contact()
    message = rejection(UUID(int=1))
    await office.hears(message, message)
    assert await office.postman.once() == 1
    await office.hears(message)
    assert await office.postman.once() == 0
    (mail,) = office.mails()
    assert mail["To"] == ADDRESS
    assert mail["Subject"] == "[OCOP 2025-68] Dữ liệu gửi lên không được ghi nhận / Submissions rejected (1)"
    text = mail.get_content()
    assert f"event-{UUID(int=1)}" in text
    assert "không được ghi nhận, vì lý do ghi ở từng mục" in text
    assert "[already-registered] /data/product" in text
    assert "2025-68/SP-1" in text


async def test_what_is_due_together_is_one_mail_per_tenant_and_rule(office: Office) -> None:
    await office.contact()
    await office.contact("2025-80", "ocop@tayninh.example")
    await office.hears(*(rejection(UUID(int=n)) for n in range(120)), rejection(UUID(int=500), tenant="2025-80"))
    while await office.postman.once():
        pass
    subjects = sorted(str(mail["Subject"]) for mail in office.mails())
    assert [subject.split()[1].strip("]") + subject[-5:] for subject in subjects] == [
        "2025-68(100)",
        "2025-68 (20)",
        "2025-80d (1)",
    ]


async def test_who_has_much_to_be_told_leaves_the_others_their_turn(office: Office) -> None:
    await office.contact()
    await office.contact("2025-80", "ocop@tayninh.example")
    hour = timedelta(hours=1)
    await office.hears(*(rejection(UUID(int=n), ago=hour) for n in range(1500)))
    await office.hears(rejection(UUID(int=2000), tenant="2025-80"))
    async with office.pool.acquire() as connection, connection.transaction():
        assert await store.make_mails(connection) == 2
    mails = await office.pool.fetch(
        """SELECT m.tenant, count(*), min(d.due_at) FROM mail m JOIN delivery d ON d.mail = m.id
           GROUP BY m.id ORDER BY m.next_at"""
    )
    assert [(mail["tenant"], mail["count"]) for mail in mails] == [(TENANT, 100), ("2025-80", 1)]
    for _ in range(3):
        assert await office.postman.once() == 1
    assert [mail["To"] for mail in office.mails()] == [ADDRESS, "ocop@tayninh.example", ADDRESS]


async def test_of_each_rule_one_mail_stands_in_the_line_and_no_more(office: Office) -> None:
    """Else who has much to be told would have filled the line before another one comes."""
    for tenant in (TENANT, "2025-79"):
        await office.contact(tenant)
    await office.contact("2025-80", "ocop@tayninh.example")
    for first, tenant in ((0, TENANT), (1000, "2025-79")):
        await office.hears(*(rejection(UUID(int=n), tenant=tenant) for n in range(first, first + 450)))
    for _ in range(3):
        assert await office.postman.once() == 1
    await office.hears(rejection(UUID(int=2000), tenant="2025-80"))
    for _ in range(3):
        assert await office.postman.once() == 1
    assert "ocop@tayninh.example" in [mail["To"] for mail in office.mails()]
    while await office.postman.once():
        pass
    assert await office.pool.fetchval("SELECT count(*) FROM delivery WHERE mail IS NULL") == 0
    assert len(office.mails()) == 11


async def test_a_server_that_is_down_keeps_no_mail_from_being_made(office: Office) -> None:
    await office.contact()
    await office.hears(*(rejection(UUID(int=n)) for n in range(250)))
    assert office.server is not None
    office.server.cancel()
    await asyncio.gather(office.server, return_exceptions=True)
    for _ in range(3):
        assert await office.postman.once() == 1
    assert await office.pool.fetchval("SELECT count(*) FROM delivery WHERE mail IS NULL") == 0


async def test_two_replicas_put_nothing_into_two_mails(office: Office) -> None:
    await office.contact()
    await office.hears(*(rejection(UUID(int=n)) for n in range(250)))
    async with office.pool.acquire() as one, office.pool.acquire() as other, one.transaction(), other.transaction():
        assert await store.make_mails(one) == 1
        assert await store.make_mails(other) == 1, "what one has taken, the other leaves"
    assert await office.pool.fetchval("SELECT count(*) FROM delivery WHERE mail IS NOT NULL") == 200


async def test_what_is_due_is_found_without_looking_at_what_others_are_to_be_told(office: Office) -> None:
    await office.contact()
    await office.contact("2025-80", "ocop@tayninh.example")
    await office.pool.execute(
        """INSERT INTO delivery (id, rule, tenant, cause, due_at, told)
           SELECT gen_random_uuid(), 'rejected', $1, gen_random_uuid(), clock_timestamp() - interval '1 day', '{}'
           FROM generate_series(1, 5000)""",
        TENANT,
    )
    await office.hears(rejection(UUID(int=2000), tenant="2025-80"))
    async with office.pool.acquire() as connection, connection.transaction():
        assert await most_rows(connection, store.DUE, store.MOST_IN_ONE_MAIL, RULES) <= 101


async def test_without_a_contact_it_waits_for_one(office: Office) -> None:
    await office.hears(rejection(UUID(int=1)))
    assert await office.postman.once() == 0
    await office.contact()
    assert await office.postman.once() == 1


async def test_waiting_is_told_after_a_day_and_only_while_it_lasts(office: Office) -> None:
    await office.contact()
    fresh, old, over = UUID(int=1), UUID(int=2), UUID(int=3)
    day = timedelta(days=1, minutes=1)
    said: dict[str, Any] = {"code": "unknown-owner", "pointer": "/data/owner", "params": {"ref": "2025-68/CT-1"}}
    await office.hears(
        outcome("waiting", fresh, **said),
        outcome("waiting", old, ago=day, **said),
        outcome("waiting", over, ago=day, **said),
        outcome("applied", over, 2, ago=day),
    )
    late_repeat = outcome("waiting", over, ago=day, **said)
    await office.hears(late_repeat)
    assert await office.postman.once() == 1
    (mail,) = office.mails()
    text = mail.get_content()
    assert f"event-{old}" in text
    assert f"event-{fresh}" not in text
    assert f"event-{over}" not in text


async def test_what_waits_for_something_else_by_then_is_told_so(office: Office) -> None:
    await office.contact()
    behind: dict[str, Any] = {"code": "behind-earlier", "pointer": "", "params": {}}
    unknown: dict[str, Any] = {"code": "unknown-owner", "pointer": "/data/owner", "params": {"ref": "2025-68/CT-1"}}
    day = timedelta(days=1, minutes=1)
    await office.hears(
        outcome("waiting", UUID(int=1), ago=day, **behind), outcome("waiting", UUID(int=1), 2, ago=day, **unknown)
    )
    await office.hears(outcome("waiting", UUID(int=2), ago=day, **behind))
    await office.hears(outcome("waiting", UUID(int=2), 2, ago=day, **unknown))
    assert await office.postman.once() == 1
    (mail,) = office.mails()
    text = mail.get_content()
    assert text.count("[unknown-owner] /data/owner") == 2
    assert "behind-earlier" not in text


async def test_a_server_that_is_down_is_tried_again_with_the_same_message_id(office: Office) -> None:
    await office.contact()
    await office.hears(rejection(UUID(int=1)))
    assert office.server is not None
    office.server.cancel()
    await asyncio.gather(office.server, return_exceptions=True)
    assert await office.postman.once() == 1
    assert await office.postman.once() == 0, "it is put off"
    row = await office.pool.fetchrow("SELECT id, error, next_at - clock_timestamp() AS wait FROM mail")
    assert row is not None
    assert "Connect" in row["error"]
    assert timedelta(seconds=3) < row["wait"] <= timedelta(seconds=5)
    await office.open()
    await office.pool.execute("UPDATE mail SET next_at = clock_timestamp()")
    assert await office.postman.once() == 1
    (mail,) = office.mails()
    assert mail["Message-ID"] == f"<{row['id']}@ocop-interconnect>"


async def test_a_server_that_says_nothing_is_not_waited_for_long(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would be told anything meanwhile, and when the lease is over another sends it too."""
    monkeypatch.setattr("notifications.postman.SEND_TIMEOUT_S", 0.2)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    await office.contact()
    await office.hears(rejection(UUID(int=1)))
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        postman = Postman(office.pool, Settings(kafka_bootstrap="-", database_url="-", smtp_port=port))
        async with asyncio.timeout(10):
            assert await postman.once() == 1
        assert await postman.once() == 0, "it is put off"
    assert await office.pool.fetchval("SELECT error FROM mail") == "TimeoutError()"


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_encrypted_server_is_believed_if_ours_has_signed_its_certificate(
    office: Office, tmp_path: Path, trusted: bool
) -> None:
    authority, port, context = trustme.CA(), free_port(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    serving = asyncio.create_task(mailbox.serve(port, tmp_path, context))
    async with asyncio.timeout(5):
        while not await mailbox.answers(port):
            await asyncio.sleep(0.01)
    told: dict[str, Any] = {"smtp_port": port, "smtp_starttls": True, "smtp_ca_file": str(tmp_path / "ca.pem")}
    postman = Postman(office.pool, Settings(kafka_bootstrap="-", database_url="-", **told))
    await office.contact()
    await office.hears(rejection(UUID(int=1)))
    assert await postman.once() == 1
    assert len(office.mails()) == trusted
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_crash_between_sending_and_marking_repeats_it_with_the_same_message_id(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.contact()
    await office.hears(rejection(UUID(int=1)))

    def crash(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr("notifications.postman.failpoint", crash)
    with pytest.raises(RuntimeError, match="mail-sent"):
        await office.postman.once()
    monkeypatch.undo()
    assert await office.postman.once() == 0, "nobody else sends it while the lease lasts"
    await office.pool.execute("UPDATE mail SET next_at = clock_timestamp()")
    assert await office.postman.once() == 1
    first, second = office.mails()
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()


async def test_after_a_restore_what_is_told_again_has_the_same_message_id(office: Office) -> None:
    await office.contact()
    messages = [rejection(UUID(int=n)) for n in (1, 2)]
    for _ in range(2):
        await office.pool.execute("WITH d AS (DELETE FROM delivery) DELETE FROM mail")
        await office.hears(*messages)
        assert await office.postman.once() == 1
    await office.hears(rejection(UUID(int=3)))
    assert await office.postman.once() == 1
    once, again, other = (mail["Message-ID"] for mail in office.mails())
    assert once == again != other


async def test_back_off_is_capped(office: Office) -> None:
    await office.contact()
    await office.hears(rejection(UUID(int=1)))
    assert office.server is not None
    office.server.cancel()
    await asyncio.gather(office.server, return_exceptions=True)
    await office.postman.once()
    await office.pool.execute("UPDATE mail SET next_at = clock_timestamp(), attempts = 2000")
    await office.postman.once()
    wait = await office.pool.fetchval("SELECT next_at - clock_timestamp() FROM mail")
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)


async def test_two_replicas_send_each_mail_once(office: Office) -> None:
    for n in range(40):
        await office.contact(f"2025-{n + 10:02}", "ocop@example.example")
    await office.hears(*(rejection(UUID(int=n), tenant=f"2025-{n + 10:02}") for n in range(40)))
    while sum(await asyncio.gather(office.postman.once(), office.postman.once())):
        pass
    assert len(office.mails()) == len({mail["Message-ID"] for mail in office.mails()}) == 40


def recognition_event(event: str, example: str) -> Event:
    """An example of the contracts, as it lies on evaluation's topic."""
    type_ = f"vn.ocop.evaluation.recognition.{event}.v1"
    payload = json.dumps(json.loads((EXAMPLES / type_ / example).read_bytes())).encode()
    submission, received = str(uuid4()), datetime(2026, 9, 1, tzinfo=UTC)
    envelope = Envelope(
        id=str(UUID(int=77)),
        source="/services/evaluation",
        type=type_,
        subject=str(UUID(int=5)),
        time=received,
        dataschema=dataschema(type_),
        tenant=TENANT,
        correlationid=submission,
        causationid=submission,
        recordedtime=received,
        subjectsequence=2,
    )
    data = decode_event(type_, payload)
    return Event(UUID(envelope.id), UUID(envelope.subject), envelope, data, "ocop.evaluation.recognition", payload)


def test_for_each_rule_there_is_a_letter() -> None:
    assert set(RULES) == set(letter.SUBJECTS)


def test_a_revocation_is_told() -> None:
    event = recognition_event("revoked", "valid-no-longer-made.json")
    (row,) = REVOCATIONS.rows(event)["delivery"]
    assert row[:5] == (uuid5(UUID(int=77), "revoked"), "revoked", TENANT, UUID(int=77), event.envelope.recordedtime)
    mail = {"id": UUID(int=1), "tenant": TENANT, "rule": "revoked", "made_at": row[4], "address": ADDRESS}
    text = letter.write({**mail, "entries": [row[5]]}, "ocop@localhost").get_content()
    assert isinstance(event.data, RecognitionState)
    assert f"{event.data.product.namespace}/{event.data.product.ref}, {row[5]['recognition_ref']}" in text
    assert "ngày: 20/07/2026 · quyết định: ? · nguyên nhân: Điều 8 khoản 1 điểm đ" in text
    assert "day: 2026-07-20 ·" in text
    assert "dưới một mã lần công nhận (recognition_ref) khác" in text


def test_other_events_of_a_recognition_need_nobody() -> None:
    (example,) = sorted((EXAMPLES / "vn.ocop.evaluation.recognition.recognised.v1").glob("valid-*.json"))[:1]
    assert REVOCATIONS.rows(recognition_event("recognised", example.name)) == {}
