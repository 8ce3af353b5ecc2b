"""What is broken and mended: a province, a topic, the broker. Each has its alert, and what may fire beside it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from servicekit import database
from tests.alerts.prometheus import Alert
from tests.alerts.scene import Scene, well
from tests.delivery.test_breaker import of_one_partition
from tests.submissions import owner
from tests.typed import said

SILENT, SPOILT = "2025-20", 25
TOPIC = "ocop.submission.registry"


@dataclass(frozen=True, slots=True)
class Fault:
    """`may` names other alerts that the same fault raises for good reason, each with the reason. It lasts `least`
    seconds, and until its alert fires."""

    name: str
    title: str
    alert: Alert
    breaks: Callable[[Scene], Awaitable[None]]
    mends: Callable[[Scene], Awaitable[None]]
    may: Mapping[str, str] = field(default_factory=dict)
    least: float = 0


# -------------------------------------------------------------------- a province that has stopped


async def silence(scene: Scene) -> None:
    """A province whose last submission came a month ago. Nobody can wait for that: it comes now, and is dated back."""
    await scene.system.submit([_hello("1")], tenant=SILENT)
    connection = await database.connect(scene.system.databases["gateway"].superuser)
    try:
        await connection.execute(
            "UPDATE submission SET received_at = clock_timestamp() - interval '30 days' WHERE tenant = $1", SILENT
        )
    finally:
        await connection.close()


async def word(scene: Scene) -> None:
    """It sends again."""
    await scene.system.submit([_hello("2")], tenant=SILENT)


def _hello(name: str) -> dict[str, object]:
    event = owner(f"CT-{name}", id_=f"hello-{name}", owner={"namespace": SILENT, "ref": f"CT-{name}"})
    return event | {"source": f"/provinces/{SILENT}/test"}


# -------------------------------------------------------------------- a topic that is poisoned


async def poison(scene: Scene) -> None:
    """The registry has a bug that more than twenty subjects of one partition meet at once."""
    await scene.system.submit(of_one_partition(SPOILT, 0, business_name="BUG"))


async def antidote(scene: Scene) -> None:
    """The mended code in its place; the topic is read on, and what had failed is tried again."""
    (process,) = scene.system.running("registry")
    process.send(signal.SIGTERM)
    await asyncio.to_thread(process.process.wait, 60)
    process.command = (*process.command[:-1], "registry")
    process.launch()
    await well(process)
    made = scene.system.databases["registry"]
    await said(made, "consumer", "resume", "registry", "--topic", TOPIC, "--actor", "Lan")
    await said(made, "dlq", "retry", "registry", "--error", "RuntimeError", "--actor", "Lan")


# -------------------------------------------------------------------- a broker that is gone


async def kill_broker(scene: Scene) -> None:
    """`kill -9`."""
    scene.engines.kill_kafka()


async def start_broker(scene: Scene) -> None:
    """On the same files."""
    await scene.engines.start_kafka()


FAULTS = (
    Fault(
        "province",
        "a province has sent nothing for a month",
        Alert("OcopProvinceSilent", (SILENT,)),
        silence,
        word,
    ),
    Fault(
        "topic",
        "a topic is poisoned: more than twenty subjects meet a bug at once",
        Alert("OcopTopicStopped", ("registry", TOPIC)),
        poison,
        antidote,
        {"OcopRecordsFailed": "what has failed is put aside, until it is tried again"},
    ),
    Fault(
        "broker",
        "the broker is killed, and away for three minutes",
        Alert("OcopOutboxOld", ("gateway",)),
        kill_broker,
        start_broker,
        {
            "OcopOutboxOld": "a service that had something to say when the broker went has it in its outbox, too",
            "OcopAnswersFail": "behind its bound the gateway answers 503, which provinces feel",
        },
        least=180,
    ),
)
