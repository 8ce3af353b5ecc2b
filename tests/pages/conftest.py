"""Fixtures only."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser

from ocop.history import histories
from servicekit import database
from tests.engines import Database, Databases
from tests.national.feed import fill, said_of
from tests.pages import situations
from tests.pages.serving import browsing, serving


@pytest.fixture(scope="session")
def sites(run_databases: Databases) -> Iterator[dict[str, str]]:
    """Addresses of the pages over several databases, by what is in them."""
    made = asyncio.run(_made(run_databases))
    urls = {name: each.http for name, each in made.items()}
    urls["away"] = "postgresql://nobody:x@127.0.0.1:1/nothing"
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(url)) for name, url in urls.items()}
    asyncio.run(run_databases.drop(templates=False))


@pytest.fixture(scope="module")
def browser(sites: dict[str, str]) -> Iterator[Browser]:  # its loop may run only while theirs are made
    """One for a module."""
    with browsing() as browser:
        yield browser


async def _made(databases: Databases) -> dict[str, Database]:
    full, empty, everywhere = [await databases.make("national") for _ in range(3)]
    await fill(full, said_of([*(e for h in histories() for e in h.events), *situations.events()]))
    await fill(everywhere, said_of(situations.everywhere()))
    owner = await database.connect(everywhere.owner)
    await owner.execute(
        """INSERT INTO held (reason, headers, payload, topic, partition, "offset")
           VALUES ('failed', '[]', '', 'ocop.registry.owner', 0, 0)"""
    )
    await owner.close()
    # Another service's database has none of the tables: whatever is asked there ends in an accident.
    return {"full": full, "empty": empty, "everywhere": everywhere, "broken": await databases.make("notifications")}
