"""Passwords for services that others start: a file for each, made once.

`python3 -m ocop.passwords DIRECTORY` needs nothing but Python, so that it runs where only a container engine is.
"""

import secrets
import sys
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
        try:
            with (directory / name).open("x") as file:
                file.write(secrets.token_urlsafe(24))
        except FileExistsError:
            continue
        (directory / name).chmod(0o444)
        made.append(name)
    return made


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 -m ocop.passwords DIRECTORY")
    sys.stdout.write(f"{len(make(Path(sys.argv[1])))} passwords made in {sys.argv[1]}\n")
