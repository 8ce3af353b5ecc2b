"""Operators' commands as they are typed: each a process of its own."""

import asyncio
import os
import subprocess
import sys

from tests.engines import Database


async def typed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OCOP_")}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ocop", *arguments],
        env=inherited | environment | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def ocop(made: Database, *arguments: str, bootstrap: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command beside a service: with its database, and with its Kafka where there is one."""
    return await typed({"OCOP_DATABASE_URL": made.app, "OCOP_KAFKA_BOOTSTRAP": bootstrap}, *arguments)


async def said(made: Database, *arguments: str, bootstrap: str = "") -> str:
    """What a command says that succeeds."""
    done = await ocop(made, *arguments, bootstrap=bootstrap)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def refused(made: Database, *arguments: str, bootstrap: str = "") -> str:
    """What a command says, in a line or two, that cannot be done."""
    return refusal(await ocop(made, *arguments, bootstrap=bootstrap))


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The line with which a command has ended that could not do it: no traceback, and a remark before it at most."""
    assert done.returncode == 1, done.stdout + done.stderr
    *remarks, last = done.stderr.splitlines()
    assert last.startswith("ocop: "), done.stderr
    assert len(remarks) <= 1, done.stderr
    return last
