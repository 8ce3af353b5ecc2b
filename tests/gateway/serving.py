"""The gateway's application on a database, in the process of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from gateway import api, tenants
from gateway.settings import Settings

from servicekit import database
from servicekit.database import Pool
from tests.engines import Database

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(slots=True)
class Served:
    """A client, and the pools behind the application."""

    client: httpx2.AsyncClient
    pool: Pool
    http_pool: Pool

    async def key(self, tenant: str, system: str = "test") -> dict[str, str]:
        """The header of a new key."""
        async with self.pool.acquire() as connection:
            return {"Authorization": f"Bearer {await tenants.enrol(connection, tenant, system)}"}


@asynccontextmanager
async def served(made: Database, **settings: Any) -> AsyncIterator[Served]:
    """The application with these settings."""
    pool, http_pool = await database.open_pool(made.app), await database.open_pool(made.http)
    chosen = Settings(kafka_bootstrap="-", database_url=made.app, **settings)
    app = api.build(http_pool, chosen, taken=lambda: None, begun=lambda: True)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield Served(client, pool, http_pool)
    await pool.close()
    await http_pool.close()
