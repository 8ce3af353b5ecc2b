"""What the proofs wait for and judge by can fail: healing, mails, the stamp of a commit."""

import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from notifications import store
from notifications.domain import Delivery

from servicekit import database
from tests.delivery import mails, proof
from tests.delivery.healing import Mark, NotHealedError, left
from tests.delivery.system import system
from tests.delivery.test_spine import families
from tests.engines import Databases
from tests.gateway.serving import BATCH, served
from tests.submissions import owner
from tests.waiting import until


async def test_a_system_is_well_when_all_is_ready_and_goes_on(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        await under_test.start_all()
        await under_test.healed()
        (registry,) = under_test.running("registry")
        registry.kill()
        await under_test.submit(families(5))

        async def sent() -> bool:
            return not await under_test.fetch("gateway", "SELECT FROM outbox")

        await until(sent)
        with pytest.raises(NotHealedError, match=r"registry: \d+ partitions not read on"):
            await under_test.healed(2)
        registry.launch()
        await under_test.healed()
        registry.send(signal.SIGSTOP)
        with pytest.raises(NotHealedError, match=f"{registry.url}: ReadTimeout"):
            await under_test.healed(6)
        registry.send(signal.SIGCONT)
        await under_test.settled()


async def test_what_is_under_way_in_a_database_goes_on_too(databases: Databases) -> None:
    made = {service: await databases.make(service) for service in ("gateway", "registry", "notifications")}
    async with served(made["gateway"]) as gateway:
        headers = await gateway.key("2025-68") | {"Content-Type": BATCH}
        await gateway.client.post(
            "/v1/events", json=[owner(id_="under-way"), owner("CT-2", id_="fed-later")], headers=headers
        )
        await gateway.pool.execute("DELETE FROM outbox")
        await gateway.pool.execute("UPDATE submission SET fed_at = 'infinity' WHERE event_id = 'fed-later'")
    held, office = await database.connect(made["registry"].app), await database.connect(made["notifications"].app)
    await held.executemany(
        """INSERT INTO held (reason, ready, headers, payload, topic, partition, "offset")
           VALUES ('waiting', $1, '{}', '', 't', 0, $2)""",
        [(True, 1), (False, 2)],
    )
    now = datetime.now(UTC)
    due = [Delivery("rejected", tenant, uuid4(), now, {}, None) for tenant in ("2025-68", "2025-80")]
    await store.add(office, [*due, Delivery("waiting", "2025-68", uuid4(), now + timedelta(hours=1), {}, None)])
    await store.set_contact(office, "2025-68", "ocop@2025-68.example")
    clocks = {service: await held.fetchval("SELECT clock_timestamp()") for service in made}
    since = Mark({}, dict.fromkeys(made, 0), clocks)
    urls = {service: each.app for service, each in made.items()}
    assert await left(since, urls) == [
        "gateway: 1 submissions without an outcome",
        "registry: 1 held rows that may go on",
        "notifications: 1 deliveries without a mail",
    ]
    gateway_too = await database.connect(made["gateway"].app)
    ahead = "UPDATE submission SET received_at = received_at + interval '2 hours' WHERE event_id = 'under-way'"
    await gateway_too.execute(ahead)
    assert "gateway: 1 submissions without an outcome" in await left(since, urls), "a clock has run away since"
    await gateway_too.execute("UPDATE submission SET state = 'waiting' WHERE event_id = 'under-way'")
    await held.execute("UPDATE held SET ready = false")
    await store.make_mails(office)
    assert await left(since, urls) == []
    await held.execute(
        """INSERT INTO held (reason, ready, headers, payload, topic, partition, "offset")
           VALUES ('waiting', true, '{}', '', 't', 0, 3)"""
    )
    assert await left(since, urls) == [], "it came later"
    for connection in (held, office, gateway_too):
        await connection.close()


async def test_what_a_mail_server_has_is_compared(databases: Databases, tmp_path: Path) -> None:
    made = await databases.make("notifications")
    sent, unsent = uuid4(), uuid4()
    connection = await database.connect(made.app)
    query = "INSERT INTO mail (id, tenant, rule, sent_at) VALUES ($1, '2025-68', 'rejected', now())"
    await connection.executemany(query, [(sent,), (unsent,)])
    await connection.close()
    await mails.set_contacts(made.app)

    def comes(name: str, message_id: object, to: str = "ocop@2025-68.example") -> None:
        (tmp_path / f"{name}.eml").write_text(f"To: {to}\nMessage-ID: <{message_id}@ocop-interconnect>\n\n")

    async def found(crashes: int = 0) -> list[str]:
        return [str(finding) for finding in await mails.compare(tmp_path, made.app, crashes)]

    comes("1", sent)
    assert await found() == [f"O7 mail {unsent} is said to be sent and did not come"]
    comes("2", unsent)
    assert await found() == []
    comes("3", sent)
    assert await found() == ["O7 1 mails came again, after 0 crashes", f"O7 mail {sent} came 2 times, after 0 crashes"]
    assert await found(crashes=1) == []
    comes("4", sent)
    assert await found(crashes=1) == [f"O7 mail {sent} came 3 times, after 1 crashes"], "each replica has another one"
    comes("4", stranger := uuid4())
    assert await found(crashes=1) == [f"O7 mail {stranger} came and was not sent"]
    (tmp_path / "5.eml").write_text("Message-ID: <x@y>\n\n")
    assert "O7 1 mails have another Message-ID" in await found(crashes=1)
    comes("3", sent, "ocop@2025-80.example")
    text = f"O7 mail {sent} of 2025-68 went to ocop@2025-80.example, not to ocop@2025-68.example"
    assert text in await found(crashes=1)


def test_a_tree_with_changes_has_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "REPOSITORY", tmp_path)
    monkeypatch.setattr(proof, "PROOFS", tmp_path / ".proof")

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments], cwd=tmp_path, check=True)  # noqa: S607  # as the system finds it

    git("init", "--quiet")
    (tmp_path / ".gitignore").write_text(".proof\n")
    git("add", ".gitignore")
    git("commit", "--quiet", "--message", "x")
    stamp = proof.commit(dirty=False)
    proof.keep("kill", stamp, "1", {"findings": []})
    assert proof.done("kill", stamp, "1") == {"findings": []}
    assert proof.done("kill", stamp, "2") is None
    results = tmp_path / proof.WRITTEN
    results.parent.mkdir()
    results.touch()
    assert proof.moved(stamp) == [], "it is no part of what is measured"
    results.unlink()
    (tmp_path / "new").touch()
    assert [stamp, f"{stamp}-dirty"] == [word.strip(",:") for word in proof.moved(stamp)[0].split() if stamp in word]
    assert proof.keep("kill", stamp, "3", {"findings": []}) == proof.moved(stamp)
    assert proof.done("kill", stamp, "3") is None
    with pytest.raises(proof.DirtyTreeError, match="new"):
        proof.commit(dirty=False)
    dirty = proof.commit(dirty=True)
    assert dirty == f"{stamp}-dirty"
    proof.keep("kill", dirty, "1", {"findings": []})
    assert proof.done("kill", dirty, "1") is None
    kept = proof.directory("kill", dirty) / "1.json"
    assert not kept.exists()
    assert proof.moved(dirty) == [], "it was no result from the first"
    kept.write_text('{"findings": []}')  # of an earlier time
    assert proof.done("kill", dirty, "1") is None


def test_what_was_measured_while_the_tree_moved_on_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = "0123"
    monkeypatch.setattr(proof, "commit", lambda **_: at)
    monkeypatch.setattr(proof, "PROOFS", tmp_path)
    assert proof.keep("kill", at, "1", {"findings": []}) == []
    began, at = at, "4567"
    assert proof.keep("kill", began, "2", {"findings": []}) == [
        "the tree was 0123 when this began, and is 4567: this is no result"
    ]
    assert (proof.done("kill", began, "1"), proof.done("kill", began, "2")) == ({"findings": []}, None)
