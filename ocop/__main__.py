"""The commands: ``ocop …`` or ``python -m ocop …``."""

import asyncio
import logging
import os
import re
import sys
from datetime import timedelta
from typing import Annotated, NoReturn

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.table import Column, Table

from ocop import backfill, consumer, databases, dlq, mail, oracle, rebuild, restore, stack, tenant, trace
from ocop.console import console, notes
from ocop.demo import Demo
from ocop.errors import OcopError
from ocop.home import Home
from ocop.supervision import members

QUIET_S = 60  # for which the oracle waits

app = typer.Typer(
    help="OCOP Interconnect on one machine: the stack, and the operators' commands.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold passwords
)


# What supervisor's configuration would read as something else: ends of texts and lines, and comments.
_NOT_IN_PAIRS = re.compile(r"[\"\n]|\s[;#]")


def pairs(texts: list[str], example: str) -> dict[str, str]:
    """``NAME=VALUE`` arguments. Raises OcopError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or _NOT_IN_PAIRS.search(text):
            raise OcopError(f"{text!r} is not of the form {example}.")
        found[name] = value
    return found


def _say(text: str) -> None:
    notes.print(text, style="dim", soft_wrap=True)


app.add_typer(tenant.app, name="tenant")
app.add_typer(dlq.app, name="dlq")
app.command()(dlq.waiting)
app.command()(dlq.operations)
app.add_typer(backfill.app, name="backfill")
app.add_typer(consumer.app, name="consumer")
app.command()(restore.adopt)
app.command()(restore.republish)
app.command()(rebuild.rebuild)
app.add_typer(mail.app, name="notifications")
app.command()(mail.mails)


@app.command()
def up(
    replicas: Annotated[list[str], typer.Option(help="SERVICE=NUMBER of processes; remembered.")] = [],  # noqa: B006 - read only
    set_: Annotated[
        list[str], typer.Option("--set", help="NAME=VALUE for the environment of every service; remembered.")
    ] = [],  # noqa: B006 - read only
) -> None:
    """Start everything, or repair what is broken; returns when every service is ready."""
    counts = {name: int(count) for name, count in pairs(replicas, "registry=2").items() if count.isdecimal()}
    if len(counts) != len(replicas):
        raise OcopError("--replicas takes SERVICE=NUMBER, for instance registry=2.")
    settings = pairs(set_, "OCOP_SESSION_TIMEOUT_MS=6000")
    home = Home.here()
    memory = stack.up(home, _say, counts, settings)
    for instance in stack.instances(memory):
        console.print(f"{instance.name:20} {stack.service_url(memory, instance)}")


@app.command()
def down(
    services: Annotated[list[str] | None, typer.Argument(help="Only these; `ocop up` starts them again.")] = None,
) -> None:
    """Stop everything, or all replicas of some services; what is stored stays."""
    home = Home.here()
    stopped = stack.stop(home, services) if services else stack.down(home)
    notes.print("Stopped." if stopped else "Nothing was running.")


@app.command()
def status() -> None:
    """Show every process; the exit status is 1 unless all are ready."""
    home = Home.here()
    lines = asyncio.run(stack.status(home))
    if not lines:
        left = members(home)
        notes.print(
            f"Not running, but {len(left)} processes are left over: `ocop up` repairs, `ocop down` ends them."
            if left
            else "Not running: `ocop up` starts it."
        )
        raise typer.Exit(1)
    table = Table("service", "pid", "uptime", Column("ready", overflow="fold"), Column("url", no_wrap=True), box=None)
    ready = True
    for line in lines:
        process = line.process
        works = process.is_running and not line.missing
        ready = ready and works
        word = "yes" if works else f"no: {line.missing or process.state}"
        table.add_row(process.name, str(process.pid or "-"), str(timedelta(seconds=process.uptime)), word, line.url)
    console.print(table)
    if not ready:
        raise typer.Exit(1)


@app.command("provision")
def provide() -> None:
    """Make databases, roles, schemas and topics for services that others start; harmless when they are there."""
    memory = Home.here().recall()
    if memory.services_url is None:
        raise OcopError("`ocop up` does this for a stack of its own. For another, set OCOP_SERVICES_URL.")
    asyncio.run(stack.provide_elsewhere(memory, _say))


@app.command()
def url(service: str) -> None:
    """Print where a service answers HTTP, for use in other commands."""
    memory = Home.here().recall()
    for instance in stack.instances(memory):
        if instance.name == service and (memory.services_url or service in memory.ports):
            print(stack.service_url(memory, instance))  # noqa: T201 - bare, for the shell
            return
    raise OcopError(f"{service} has no address yet: `ocop up` gives it one.")


@app.command()
def logs(
    service: Annotated[
        str | None, typer.Argument(help="kafka, postgres, supervisor or a service; all if left out")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of each.")] = 50,
) -> None:
    """Show what the processes have written."""
    home = Home.here()
    files = sorted(home.logs.glob("*.log"))
    if service is not None:
        files = [file for file in files if file == home.log(service)]
    if not files:
        raise OcopError(f"There is no log of {service or 'anything'} in {home.logs}.")
    sys.stdout.flush()
    os.execvp("tail", ["tail", f"--lines={lines}", *(["-F"] if follow else []), *map(str, files)])  # noqa: S606, S607 - coreutils, no shell


@app.command()
def demo(
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds between batches, to watch it or to kill things meanwhile.")
    ] = 0,
) -> None:
    """Start everything, submit what five provinces published, and compare; the exit status is 1 if anything differs."""
    home = Home.here()
    if (memory := home.recall()).services_url is None:
        memory = stack.up(home, _say, {}, {})
    home.make()
    if not asyncio.run(Demo(home, memory, console, pause).run()):
        raise typer.Exit(1)


@app.command("trace")
def follow(
    name: Annotated[str, typer.Argument(help="Id of a submission, of an event from it, or the province's own.")],
) -> None:
    """Follow one submission: receipt, topics, decision, events, who has applied them, rows, mails."""
    for where, what in trace.of_stack(name):
        console.print(f"{where:14} {what}", highlight=False, soft_wrap=True)


@app.command("oracle")
def ask_oracle() -> None:
    """Wait until all is quiet, then look for anything lost, doubled or out of order."""
    memory = databases.memory()
    bootstrap, urls = stack.kafka_bootstrap(memory), stack.application_urls(memory)
    if left := asyncio.run(oracle.wait_until_quiet(bootstrap, urls, QUIET_S)):
        raise OcopError(f"Nothing was judged, for in {QUIET_S} s it was never quiet: {'; '.join(left)}.")
    findings = asyncio.run(oracle.examine(bootstrap, urls))
    for finding in findings:
        console.print(finding, soft_wrap=True)
    if findings:
        raise typer.Exit(1)
    console.print("Nothing lost, nothing twice, nothing out of order.")


def main() -> None:
    """Run a command; what it says it cannot do is shown without a traceback."""
    # Clients that wait for an engine would otherwise write a line for each attempt, and one more when they go.
    for name in ("aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        app()
    except OcopError as error:
        _end(str(error))
    except KafkaError as error:
        _end(f"Kafka does not do what it was asked: {_said(error)}. Is it up, with all topics? `ocop status`")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _end(f"PostgreSQL does not do what it was asked: {_said(error)}. Is it up? `ocop status`")
    except OSError as error:  # a time-out too
        _end(f"Something does not answer, or cannot be read: {_said(error)}. `ocop status` tells what is up.")


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip().rstrip(".")


def _end(text: str) -> NoReturn:
    notes.print(f"ocop: {text}", style="red", soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
