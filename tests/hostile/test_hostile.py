"""The barrage in its short form; `make hostile REQUESTS=1000000` is the long one."""

from pathlib import Path

from tests.delivery.system import system
from tests.engines import Databases
from tests.hostile import barrage
from tests.hostile.gun import Answer, Found
from tests.hostile.shots import Arsenal, Keys, Shot

REQUESTS = 4000


async def test_no_request_is_an_accident(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, barrage.SERVICES) as under_test:
        await under_test.start_all(1, **barrage.SETTINGS)
        found = await barrage.fire(under_test, seed=68, requests=REQUESTS, connections=16)
        assert found["wrong"] == {}, "\n".join(found["first_wrong"])
        assert found["accepted"] > REQUESTS / 10
        assert found["refused"] > REQUESTS / 4, "each must be nowhere"
        assert len(found["codes"]) > 15, "it must hit in many ways"


SOURCE = "/provinces/2025-68/hostile"


def test_what_was_refused_or_only_tried_is_to_be_nowhere_unless_it_was_accepted() -> None:
    def answer(status: int, *said: tuple[str, str]) -> Answer:
        results = (f'"id":"{i}","source":"{SOURCE}","status":"{s}","submission_id":"{"0" * 36}"' for i, s in said)
        return Answer(status, b"", b'{"code":"busy","pointer"}' + ",".join(results).encode())

    def shot(*names: str, dry: bool = False) -> Shot:
        return Shot("", b"", dry=dry, events=tuple((SOURCE, name) for name in names))

    found = Found()
    found.look(shot("whole-1", "whole-2"), answer(400))
    found.look(shot("tried", dry=True), answer(200, ("tried", "accepted")))
    found.look(shot("good", "bad"), answer(200, ("good", "accepted"), ("bad", "refused")))
    found.look(shot("good"), answer(413))
    assert found.nowhere == {(SOURCE, name) for name in ("whole-1", "whole-2", "tried", "bad")}
    assert found.accepted.keys() == {"good"}


def test_a_shot_knows_what_it_carries() -> None:
    arsenal = Arsenal("1", Keys("2025-68", "own", "other", "revoked"), "h")
    shots = [arsenal.draw() for _ in range(2000)]
    carried = [event for shot in shots for event in shot.events]
    assert len(set(carried)) == len(carried), "each is in one shot only"
    assert all((SOURCE, name) in shot.events for shot in shots for name in shot.good)
    good = [shot for shot in shots if shot.kind == "good"]
    assert all(f'"{name}"'.encode() in shot.raw for shot in good for _, name in shot.events)
