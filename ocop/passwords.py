"""Passwords for services that others start: a file for each, made once.

`python3 -m ocop.passwords DIRECTORY` needs nothing but Python, so that it runs where only a container engine is. With
`--renew` it writes other passwords, which services take from then on; `ocop provision` gives them to PostgreSQL.
"""

import argparse
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from ocop.services import SERVICES

# Whom the services do not know: the superuser of PostgreSQL, and who looks at dashboards.
OTHERS = ("postgres", "grafana")


def names() -> tuple[str, ...]:
    """The files: one for each role of each service's database, and the others'."""
    return (*(role for service in SERVICES for role in service.roles), *OTHERS)


def make(directory: Path) -> list[str]:
    """Make the files that are missing; returns which. A password that is there stays.

    The directory keeps others on the machine out. The files in it can be read by anybody, for a container's user is
    another than the one who made them.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = []
    for name in names():
        file, unfinished = directory / name, directory / f".{name}"
        if file.exists() and file.stat().st_size:
            continue
        unfinished.unlink(missing_ok=True)  # of a run that was killed; it could be read only
        unfinished.write_text(_password())  # a full disk or a kill leaves no empty password
        unfinished.chmod(0o444)
        unfinished.replace(file)
        made.append(name)
    return made


def renew(directory: Path, wanted: Iterable[str]) -> None:
    """Write another password into each of these files. Raises OSError for one that is not there.

    In place and at once: what is mounted into a container is this file, not its name, and somebody may be reading it.
    """
    for name in wanted:
        file = directory / name
        file.chmod(0o644)
        with file.open("r+b", buffering=0) as open_file:
            open_file.truncate(open_file.write(_password().encode()))
        file.chmod(0o444)


def _password() -> str:
    return secrets.token_urlsafe(24)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python3 -m ocop.passwords", description=__doc__)
    parser.add_argument("directory", type=Path)
    roles = [role for service in SERVICES for role in service.roles]
    parser.add_argument("--renew", nargs="+", choices=roles, default=[], metavar="ROLE", help="of these, another one")
    asked = parser.parse_args()
    made = make(asked.directory)
    renew(asked.directory, asked.renew)
    sys.stdout.write(f"{len(made)} passwords made, {len(asked.renew)} renewed in {asked.directory}\n")


if __name__ == "__main__":
    main()
