"""What lets a process into its database changes while it runs: passwords, written into a file first and given to the
server after that; the authority by which it knows the server. And how long the server lets it stay at something."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import trustme

from ocop import provision
from servicekit import database


@dataclass(frozen=True, slots=True)
class Login:
    """A role of this test's, and the file in which a process looks for its password."""

    superuser: asyncpg.Connection
    role: str
    file: Path
    url: str

    async def write(self, password: str) -> None:
        """What processes see."""
        self.file.write_text(f"{password}\n")

    async def give(self, password: str) -> None:
        """What the server wants from now on."""
        await self.superuser.execute(f"ALTER ROLE {self.role} PASSWORD '{password}'")

    async def enters(self) -> bool:
        """Whether a new connection is let in."""
        try:
            connection = await database.connect(self.url)
        except asyncpg.InvalidPasswordError:
            return False
        assert await connection.fetchval("SELECT current_user") == self.role
        await connection.close()
        return True


@pytest.fixture
async def login(postgres_url: str, tmp_path: Path) -> AsyncIterator[Login]:
    role, file = f"test_{secrets.token_hex(4)}", tmp_path / "password of a/b"
    file.parent.mkdir(parents=True)
    superuser = await asyncpg.connect(postgres_url)
    await superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'first'")
    file.write_text("first\n")
    url = provision.address(postgres_url, "postgres", role).replace(":@", "@")
    yield Login(superuser, role, file, database.with_password_file(url, file))
    await superuser.execute(f"DROP ROLE {role}")
    await superuser.close()


async def test_a_new_password_is_written_first_and_given_after(login: Login) -> None:
    assert await login.enters()
    await login.write("second")
    assert await login.enters(), "by the one before"
    await login.give("second")
    assert await login.enters()
    await login.give("first")
    assert not await login.enters(), "the one before is forgotten when the new one was taken"


async def test_who_starts_with_another_password_waits_for_it(login: Login) -> None:
    await login.write("second")
    assert not await login.enters()
    await login.give("second")
    assert await login.enters()


async def test_a_pool_opens_connections_by_what_the_file_says_then(login: Login) -> None:
    pool = await database.open_pool(login.url, size=2)
    async with pool.acquire() as held:
        await login.give("second")
        assert await held.fetchval("SELECT 1") == 1, "who is in stays in"
        with pytest.raises(asyncpg.InvalidPasswordError) as refused:
            async with pool.acquire():
                pass
        assert database.is_outage(refused.value), "it is tried again, and no event is at fault"
        await login.write("second")
        async with pool.acquire() as another:
            assert await another.fetchval("SELECT current_user") == login.role
    await pool.close()


async def test_a_server_ends_what_takes_too_long_and_who_stands_still(postgres_url: str) -> None:
    """By itself it would keep the locks of both for ever."""
    pool = await database.open_pool(postgres_url)
    async with pool.acquire() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "10s"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
    await pool.close()


async def test_a_file_that_is_gone_is_an_outage(login: Login) -> None:
    login.file.unlink()
    with pytest.raises(FileNotFoundError) as gone:
        await database.connect(login.url)
    assert database.is_outage(gone.value)


async def test_an_authority_that_was_renewed_is_the_next_connections(tmp_path: Path) -> None:
    """The embedded server knows no TLS: a door that opens it, hears who is there, and says no."""
    old, new = trustme.CA(), trustme.CA()
    context, file = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "ca.crt"
    new.issue_cert("127.0.0.1").configure_cert(context)

    async def open_door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        try:
            await writer.start_tls(context)
            await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
            said = b"SFATAL\0C28P01\0Mnot you\0\0"
            writer.write(b"E" + (len(said) + 4).to_bytes(4) + said)
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async with await asyncio.start_server(open_door, "127.0.0.1", 0) as door:
        port = door.sockets[0].getsockname()[1]
        url = f"postgresql://registry_app:x@127.0.0.1:{port}/d?sslmode=verify-full&sslrootcert={file}"
        old.cert_pem.write_to_path(str(file))
        with pytest.raises(ssl.SSLCertVerificationError) as unknown:
            await database.connect(url)
        assert database.is_outage(unknown.value)
        new.cert_pem.write_to_path(str(file))
        with pytest.raises(asyncpg.InvalidPasswordError, match="not you"):
            await database.connect(url)


@pytest.mark.parametrize(
    ("statement", "value", "passes"),
    [
        ("SELECT 1 / $1::int", 0, False),
        ("SELECT $1::int", 2**40, False),  # an error of the client's
        ("SET transaction_read_only = on; CREATE TABLE t ()", None, True),  # what a standby says
        ("SELECT pg_terminate_backend(pg_backend_pid())", None, True),
    ],
)
async def test_what_passes_by_itself_and_what_does_not(
    login: Login, statement: str, value: int | None, passes: bool
) -> None:
    connection = await database.connect(login.url)
    with pytest.raises(Exception) as failed:  # noqa: PT011  # which one, is what is asked
        await connection.execute(statement, *([] if value is None else [value]))
    connection.terminate()
    assert database.is_outage(failed.value) is passes
