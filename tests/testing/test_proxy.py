from __future__ import annotations

import asyncio
import threading
from time import monotonic

import psycopg
import pytest
from sqlalchemy import make_url

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import CommitUnknownError, ConfigurationError, UnavailableError
from agentdb.models import TenantAccount
from agentdb.testing import FaultProxy, Message
from agentdb.testing.backends import connect_plainly
from agentdb.testing.wire import MessageReader

pytestmark = pytest.mark.agentdb_only("postgres")

LONG = "SELECT repeat('x', 1000000)"


async def make(unit: UnitOfWork) -> TenantAccount:
    """Store a tenant."""
    return await unit.tenant_accounts.create("Acme", "acme")


async def count(database: Database) -> int:
    """Return how many tenants are stored."""
    async with database.read(reason="test") as unit:
        return await unit.tenant_accounts.count()


def asked(connection: psycopg.Connection, query: str = "SELECT 1") -> object:
    """Return the first value of a query."""
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


async def test_everything_passes_at_first(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database, agentdb_url: str
) -> None:
    """The database of the test goes through the proxy; its URL leads past it."""
    await agentdb_database.run(make, reason="test")

    assert agentdb_fault_proxy.connections == 1
    async with Database(agentdb_url) as direct:
        assert await count(direct) == 1
    assert agentdb_fault_proxy.connections == 1
    assert agentdb_database.url.port == make_url(agentdb_fault_proxy.url).port


async def test_a_dropped_reply_leaves_the_commit_done(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """The caller does not know, the server does; as often as was said, then all passes."""
    agentdb_fault_proxy.drop_commit_replies(2)
    for _ in range(2):
        with pytest.raises(CommitUnknownError):
            async with agentdb_database.begin_system(reason="test") as unit:
                await unit.tenant_accounts.create_with_free_slug("Acme")
    async with agentdb_database.begin_system(reason="test") as unit:
        await unit.tenant_accounts.create_with_free_slug("Acme")

    assert await count(agentdb_database) == 3


async def test_a_reset_breaks_what_is_open(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """The unit at work is lost, the next one has a connection again."""
    with pytest.raises(UnavailableError) as caught:
        async with agentdb_database.begin_system(reason="test") as unit:
            await make(unit)
            agentdb_fault_proxy.reset()
            await unit.tenant_accounts.count()

    assert caught.value.lost
    assert await count(agentdb_database) == 0


async def test_a_server_that_is_away_comes_back(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """Until the proxy is healed nothing connects; then units go on without a new Database."""
    agentdb_fault_proxy.refuse()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await count(agentdb_database)
    agentdb_fault_proxy.heal()

    assert await count(agentdb_database) == 0


async def test_a_black_hole_holds_data_until_it_is_healed(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """As behind a network that comes back, the connection goes on where it stood."""
    async with agentdb_database.begin_system(reason="test") as unit:
        agentdb_fault_proxy.black_hole()
        work = asyncio.create_task(make(unit))
        done, _ = await asyncio.wait({work}, timeout=0.1)
        assert not done
        agentdb_fault_proxy.heal()
        await work

    assert await count(agentdb_database) == 1


async def test_a_black_hole_answers_no_new_connection(agentdb_fault_proxy: FaultProxy) -> None:
    """Connecting ends at its own limit."""
    agentdb_fault_proxy.black_hole()
    async with Database(agentdb_fault_proxy.url, settings=Settings(connect_timeout=2)) as database:
        with pytest.raises(UnavailableError):
            await count(database)


def test_a_delay_holds_each_piece(agentdb_fault_proxy: FaultProxy) -> None:
    """A query takes the delay twice: there and back."""
    with connect_plainly(agentdb_fault_proxy.url) as connection:
        agentdb_fault_proxy.delay(0.05)
        started = monotonic()
        assert asked(connection) == 1

    assert monotonic() - started >= 0.1


@pytest.mark.parametrize("size", [0, 1, 5, 1000, 500_000])
def test_a_connection_is_cut_after_so_many_bytes(
    agentdb_fault_proxy: FaultProxy, size: int
) -> None:
    """In the midst of a message too; the next connection is whole."""
    with connect_plainly(agentdb_fault_proxy.url) as connection:
        agentdb_fault_proxy.cut_after(size)
        with pytest.raises(psycopg.OperationalError):
            asked(connection, LONG)
    with connect_plainly(agentdb_fault_proxy.url) as connection:
        assert asked(connection, LONG) == "x" * 1_000_000


def test_bytes_are_counted_over_messages(agentdb_fault_proxy: FaultProxy) -> None:
    """Short answers pass until the limit is reached."""
    with connect_plainly(agentdb_fault_proxy.url) as connection:
        agentdb_fault_proxy.cut_after(1000)
        answers = 0
        with pytest.raises(psycopg.OperationalError):
            while asked(connection):
                answers += 1

    assert 5 < answers < 100


def test_messages_can_be_rewritten(agentdb_fault_proxy: FaultProxy) -> None:
    """Each message of the server, whole."""

    def change(message: Message) -> Message:
        return message._replace(body=message.body.replace(b"secret", b"public"))

    agentdb_fault_proxy.rewrite(change)
    with connect_plainly(agentdb_fault_proxy.url) as connection:
        assert asked(connection, "SELECT 'secret'") == "public"


def test_the_proxy_serves_blocking_code_and_leaves_nothing(agentdb_url: str) -> None:
    """Its thread and its connections end with its block, even in the midst of a black hole."""
    with FaultProxy(agentdb_url) as proxy:
        connection = connect_plainly(proxy.url)
        assert asked(connection) == 1
        proxy.black_hole()
    with pytest.raises(psycopg.OperationalError):
        asked(connection)
    connection.close()

    assert [t for t in threading.enumerate() if t.name == "agentdb-fault-proxy"] == []
    with pytest.raises(psycopg.OperationalError):
        connect_plainly(proxy.url)


def test_a_server_that_is_not_there_is_refused(agentdb_url: str) -> None:
    """The proxy passes on that nobody listens."""
    nowhere = make_url(agentdb_url).set(host="127.0.0.1", port=1, query={})
    with FaultProxy(nowhere) as proxy, pytest.raises(psycopg.OperationalError):
        connect_plainly(proxy.url)


def test_a_file_has_no_proxy() -> None:
    """Only PostgreSQL has connections to break, and no password is shown."""
    with pytest.raises(ConfigurationError):
        FaultProxy("sqlite:///x.db")

    assert "hunter2" not in repr(FaultProxy("postgresql://u:hunter2@h/d"))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_messages_are_found_however_they_arrive(size: int) -> None:
    """Cut anywhere, or several in one piece."""
    messages = [Message(b"C", b"COMMIT\0"), Message(b"Z", b"I"), Message(b"D", b"x" * 50)]
    stream = b"".join(message.encoded() for message in messages)
    reader = MessageReader()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert [message for piece in pieces for message in reader.feed(piece)] == messages
    assert [message.is_commit for message in messages] == [True, False, False]
