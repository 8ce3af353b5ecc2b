"""Links to the engines that are cut, lose answers, break or slow down: F4 to F7."""

import asyncio
import time
from collections import Counter

from servicekit.kafka import SEND_TIMEOUT_S
from tests.delivery.load import ANSWER_S
from tests.faults.frame import Fault, Stage
from tests.faults.proxy import Proxy
from tests.waiting import until

OLD = ("broken", "late", "forgotten")
LOST_S = 5
FELT_S = 0.25  # an answer takes some hundredths of a second
SESSION_S = 6  # OCOP_SESSION_TIMEOUT_MS of the system under test


def _old(stage: Stage) -> str:
    """What becomes of connections that were there before: with three seeds each way once."""
    stage.figures["old connections"] = old = OLD[stage.seed % len(OLD)]
    return old


async def kafka_cut(stage: Stage) -> None:
    """One host hears nothing of Kafka past its session, and the other reads on in its place; what it had on its way
    arrives late."""
    host = stage.chance.choice(stage.hosts)
    host.kafka.cut()
    carried = host.kafka.carried
    await stage.last(20)
    await stage.taken_over()
    await stage.alone()
    stage.expect(host.kafka.carried == carried, "nothing goes over the link that is cut")
    host.kafka.mend(_old(stage))


async def postgres_cut(stage: Stage) -> None:
    """One host hears nothing of PostgreSQL: it is not ready and acknowledges nothing."""
    host = stage.chance.choice(stage.hosts)
    stage.cuts += 1
    gateway, began = host.processes["gateway"].url, time.monotonic()
    host.postgres.cut()
    await stage.last(15)
    stage.figures["ready?"], stage.figures["submissions?"] = await asyncio.gather(
        stage.load.asked(f"{gateway}/health/ready"), stage.load.asked(f"{gateway}/v1/submissions")
    )
    stage.expect(stage.figures["ready?"].startswith("503"), "the cut host's gateway says that it is not ready")

    async def answered() -> list[str]:
        return stage.load.said_by(gateway, began)

    said = await until(answered, 2 * ANSWER_S)  # those that wait since before the cut go first
    stage.figures["requests answered by the cut host's gateway"] = dict(Counter(said))
    stage.expect(not {"accepted", "duplicate"} & set(said), "the cut host's gateway takes nothing")
    host.postgres.mend(_old(stage))


async def answers_lost(stage: Stage) -> None:
    """Requests pass, answers do not: of Kafka for longer than a relay waits, so that it says all of it again; then of
    PostgreSQL on one host, where commits are done that nobody hears of."""
    for host in stage.hosts:
        host.kafka.lose_answers()
    await stage.last(SEND_TIMEOUT_S + 3)
    for host in stage.hosts:
        host.kafka.mend()
    stage.cuts += 1
    host, began = stage.chance.choice(stage.hosts), time.monotonic()
    host.postgres.lose_answers()
    await asyncio.sleep(LOST_S)
    host.postgres.mend()
    stage.mended()
    await asyncio.sleep(1)  # who waited hears now
    waited = stage.load.took(began, began + LOST_S, host.processes["gateway"].url)
    stage.figures["longest answer without PostgreSQL's, s"] = round(waited[-1], 1) if waited else None
    stage.expect(waited and waited[-1] > LOST_S / 2, "somebody waits for a commit of which nobody hears")


async def one_by_one(stage: Stage) -> None:
    """All four links, one after the other, each in a way and for a time of its own, some at the same time."""
    links = [link for host in stage.hosts for link in host.links]
    stage.cuts += len(links)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for link in stage.chance.sample(links, len(links)):
            group.create_task(_troubled(stage, link))
            await asyncio.sleep(stage.chance.uniform(2, 6))
    tries = stage.load.took(began, time.monotonic())
    stage.figures["longest answer meanwhile, s"] = round(tries[-1], 1) if tries else None
    stage.expect(tries and tries[-1] > FELT_S, "somebody waits longer for an answer than he ever does")


async def _troubled(stage: Stage, link: Proxy) -> None:
    trouble = stage.chance.choice(("cut", "cut", "deaf", "short", "slow"))
    stage.figures.setdefault("troubles", []).append(trouble)
    match trouble:
        case "cut":
            link.cut()
        case "deaf":
            link.lose_answers()
        case "short":
            link.reset_after(stage.chance.randint(100, 20_000))
        case _:
            link.delay(0.3)
    await asyncio.sleep(stage.seconds or stage.chance.uniform(3, 1.5 * SESSION_S))
    link.mend(stage.chance.choice(OLD))


FAULTS = (
    Fault("F4", "services ↔ Kafka cut past the session, on one host; late writes arrive", kafka_cut),
    Fault("F5", "services ↔ PostgreSQL cut, on one host", postgres_cut),
    Fault("F6", "answers of Kafka, then of PostgreSQL are lost; requests pass", answers_lost, repeats=True),
    Fault("F7", "all links cut, deaf, slow or broken one by one, mended at random", one_by_one),
)
