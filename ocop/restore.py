"""`ocop adopt` and `ocop republish`: after a database was restored, after a topic was lost."""

import asyncio
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from gateway import adoption

from contracts.topics import TOPICS
from ocop import databases, provision
from ocop.console import console, notes
from ocop.consumer import bootstrap
from ocop.errors import OcopError
from ocop.operator import Actor, moment, named
from ocop.services import Service
from servicekit import adopt as adopting
from servicekit import audit
from servicekit import republish as republishing
from servicekit.adopt import Adopted, AdoptError
from servicekit.setback import SetBackError


def adopt(
    service: Annotated[str, typer.Argument(help="The one whose database was set back; all its replicas are down.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be adopted.")] = False,
    actor: Actor = "",
) -> None:
    """Bring a database that was restored from a backup up to what the service has said since."""
    of = databases.service(service)
    _says(of)
    who = "" if dry_run else named(actor)

    async def work(connection: asyncpg.Connection) -> Adopted:
        take = adoption.take if of.wire == "gateway" else None
        trial = connection.transaction()
        await trial.start()
        found = await adopting.adopt(connection, bootstrap(), of.wire, take)
        if dry_run:
            await trial.rollback()
            return found
        await trial.commit()
        counts = {"events": found.events, "outcomes": found.outcomes, "submissions": found.submissions}
        await audit.record(connection, who, "adopt", counts | {"finished": found.finished})
        return found

    try:
        found = databases.work(of, work)
    except (AdoptError, KafkaError) as error:
        raise OcopError(str(error)) from error
    counts = (
        f"{found.events} events, {found.outcomes} outcomes, {found.submissions} submissions; {found.finished} held rows"
    )
    if dry_run:
        console.print(f"Would adopt: {counts} have had their end. Nothing was changed.")
    else:
        console.print(f"Adopted: {counts} were finished. Start {of.name} again.")


def republish(
    service: Annotated[str, typer.Argument(help="The one that wrote the topic.")],
    topic: Annotated[str | None, typer.Option(help="This topic only; all of the service's if left out.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Only what was recorded from this time (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Only what was recorded before this time (UTC).")] = None,
    actor: Actor = "",
) -> None:
    """Say again what a service has said, from its log of record: for a topic that was lost, which is made again."""
    of = databases.service(service)
    own = _says(of)
    if topic is not None and topic not in own:
        raise OcopError(f"{topic} is not written by {of.name}: {', '.join(own)}.")
    limits, who = (moment(since), moment(until)), named(actor)

    async def run() -> dict[str, int]:
        async with databases.opened(of) as connection:
            # Before anything is sent: what goes out stays out, whether the command comes to its end or not.
            await audit.record(connection, who, "republish", {"topic": topic, "from": since, "to": until})
            made = [TOPICS[name] for name in own if topic in (None, name)]
            counts = await republishing.republish(
                connection, bootstrap(), of.wire, topic, *limits, _progress, lambda: provision.topics(bootstrap(), made)
            )
            await audit.record(connection, who, "republished", {"records": counts})
            return counts

    notes.print("Taking the relay's place; where one leads, that takes half a minute.", style="dim")
    try:
        counts = asyncio.run(run())
    except SetBackError as error:
        raise OcopError(f"{error}. `ocop adopt {of.name}` first, with all its replicas down.") from error
    except (KafkaError, TimeoutError) as error:
        raise OcopError(f"Kafka did not take it all: {error!r}. Call it again; repeats do no harm.") from error
    for name, count in counts.items():
        console.print(f"{name}: {count} records")


def _says(of: Service) -> list[str]:
    """The topics that a service writes. Raises OcopError where there are none."""
    own = [each.name for each in TOPICS.values() if each.service == of.wire]
    if not own:
        raise OcopError(f"{of.name} says nothing on topics: start it; it reads on from where it stands.")
    return own


def _progress(topic: str, count: int) -> None:
    if count % 50_000 < republishing.BATCH:
        notes.print(f"{topic}: {count}", style="dim")
