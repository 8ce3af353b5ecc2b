"""Who may submit: enrolment, rotation and suspension, for the operators' command line."""

import re
import secrets
from collections.abc import Iterable, Sequence

import asyncpg

from contracts.names import namespaces_of
from gateway.store import hashed
from servicekit.database import Connection


class TenantError(Exception):
    """What was asked for cannot be done; the message says why."""


async def enrol(connection: Connection, tenant: str, system: str, namespaces: Iterable[str] = ()) -> str:
    """Makes a key for one of the tenant's systems and returns it; it is shown this once and kept as a hash.

    Without `namespaces` the key may speak of all that the tenant owns.
    """
    try:
        owned = namespaces_of(tenant)
    except ValueError as error:
        raise TenantError(str(error)) from None
    if not re.fullmatch("[A-Za-z0-9._-]{1,64}", system):
        raise TenantError(f"{system!r} is no name of a system: letters, digits, dots, dashes, at most 64")
    wanted = frozenset(namespaces) or owned
    if foreign := wanted - owned:
        raise TenantError(f"{tenant} does not own {', '.join(sorted(foreign))}; it owns {', '.join(sorted(owned))}")
    await connection.execute("INSERT INTO tenant (code) VALUES ($1) ON CONFLICT DO NOTHING", tenant)
    await connection.execute("SELECT FROM tenant WHERE code = $1 FOR NO KEY UPDATE", tenant)  # one enrols at a time
    taken = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM api_key WHERE tenant = $1 AND system = $2 AND revoked_at IS NULL)", tenant, system
    )
    if taken:
        raise TenantError(f"{tenant} has a key for {system} already; rotate replaces it")
    return await _make(connection, tenant, system, sorted(wanted))


async def rotate(connection: Connection, tenant: str, system: str) -> str:
    """Replaces a key: the old one ends now, the new one has the same namespaces."""
    namespaces = await connection.fetchval(
        """UPDATE api_key SET revoked_at = clock_timestamp()
           WHERE tenant = $1 AND system = $2 AND revoked_at IS NULL RETURNING namespaces""",
        tenant,
        system,
    )
    if namespaces is None:
        raise TenantError(f"{tenant} has no key for {system}")
    return await _make(connection, tenant, system, namespaces)


async def _make(connection: Connection, tenant: str, system: str, namespaces: Sequence[str]) -> str:
    key = f"ocop_{secrets.token_urlsafe(32)}"
    await connection.execute(
        "INSERT INTO api_key (tenant, system, namespaces, sha256) VALUES ($1, $2, $3, $4)",
        tenant,
        system,
        namespaces,
        hashed(key),
    )
    return key


async def suspend(connection: Connection, tenant: str, *, suspended: bool = True) -> None:
    """Refuses all keys of a tenant from now on, or takes them again."""
    status = await connection.execute(
        "UPDATE tenant SET suspended_at = CASE WHEN $2 THEN clock_timestamp() END WHERE code = $1", tenant, suspended
    )
    if status == "UPDATE 0":
        raise TenantError(f"{tenant} is not enrolled")


async def listing(connection: Connection) -> list[asyncpg.Record]:
    """Every tenant's keys in force, without the keys."""
    return await connection.fetch(
        """SELECT t.code AS tenant, k.system, k.namespaces, k.made_at, t.suspended_at
           FROM tenant t LEFT JOIN api_key k ON k.tenant = t.code AND k.revoked_at IS NULL ORDER BY 1, 2"""
    )
