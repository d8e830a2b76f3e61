"""Connections to SQLite: what they ask their threads, who writes first, what a cursor has read."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, text

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import PermissionDeniedError, TransientError
from agentdb.sqlite_connect import AHEAD
from agentdb.tenants.models import TenantAccount
from agentdb.types import UTCDateTime
from tests.trips import Trips, hops

pytestmark = [pytest.mark.agentdb_only("sqlite"), pytest.mark.agentdb_commits]

MANY = AHEAD + 10
NUMBERS = text(
    f"WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n LIMIT {MANY})"
    " SELECT i FROM n"
)


@pytest.fixture
async def single(agentdb_url: str) -> AsyncIterator[Database]:
    """A database with one connection."""
    settings = Settings(pool_size=1, max_overflow=0)
    async with Database(agentdb_url, settings=settings) as database:
        async with database.read(reason="test"):
            pass  # connects
        yield database


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trips]:
    """How often a thread of a connection was asked."""
    with hops(monkeypatch) as counted:
        yield counted


async def ask(uow: UnitOfWork) -> None:
    """Run a statement."""
    await uow.session.execute(text("SELECT 1"))


async def test_a_reading_unit_takes_a_call_for_each_statement_and_one_at_its_end(
    single: Database, calls: Trips
) -> None:
    """BEGIN goes with the first statement, the end of ``query_only`` with COMMIT."""
    async with single.read(reason="test") as uow:
        await ask(uow)
        await ask(uow)

    assert calls.count == 3


async def test_a_reading_unit_that_asks_nothing_takes_no_call(
    single: Database, calls: Trips
) -> None:
    """There is nothing to begin and nothing to end."""
    async with single.read(reason="test"):
        pass

    assert calls.count == 0


async def test_a_writing_unit_takes_two_calls_beside_its_statements(
    single: Database, calls: Trips
) -> None:
    """BEGIN IMMEDIATE has the lock before anything is read, and after COMMIT nothing is undone."""
    async with single.begin_system(reason="test") as uow:
        await ask(uow)

    assert calls.count == 3


@pytest.mark.parametrize("statement", ["", "SELECT 1", "SELECT nothing", "DELETE FROM users"])
async def test_a_connection_can_write_after_a_unit_that_could_not(
    single: Database, statement: str
) -> None:
    """However that ended."""
    error: BaseException | None = None
    try:
        async with single.read(reason="test") as uow:
            if statement:
                await uow.session.execute(text(statement))
    except Exception as raised:  # noqa: BLE001 -- some of them fail
        error = raised
    async with single.begin_system(reason="test") as uow:
        await uow.tenant_accounts.add(TenantAccount(slug="acme", name="Acme"))

    assert isinstance(error, PermissionDeniedError) == statement.startswith("DELETE")


async def test_writers_come_in_the_order_in_which_they_asked(agentdb_url: str) -> None:
    """SQLite alone would let in whoever asks at the right moment."""
    async with Database(agentdb_url, settings=Settings(pool_size=8)) as database:
        asked: list[asyncio.Task[None] | None] = []
        came: list[asyncio.Task[None] | None] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            if statement == "BEGIN IMMEDIATE":
                asked.append(asyncio.current_task())

        async def write() -> None:
            async with database.begin_system(reason="test") as uow:
                came.append(asyncio.current_task())
                await ask(uow)

        async with asyncio.timeout(30), database.begin_system(reason="test"):
            event.listen(database.engine.sync_engine, "before_cursor_execute", note)
            writers = [asyncio.create_task(write()) for _ in range(6)]
            while len(asked) < len(writers):  # noqa: ASYNC110 -- an event listener has no event
                await asyncio.sleep(0)
            assert not came
        await asyncio.gather(*writers)

    assert came == asked


async def test_a_writer_that_waits_too_long_for_another_may_try_again(agentdb_url: str) -> None:
    """The patience is that with writers of other processes, and the others go on."""
    async with Database(agentdb_url, settings=Settings(busy_timeout=0.05)) as database:
        async with database.begin_system(reason="test") as uow:
            with pytest.raises(TransientError):
                async with database.begin_system(reason="test"):
                    pass
            await ask(uow)
        async with database.begin_system(reason="test") as uow:
            await ask(uow)


async def test_a_writer_that_is_cancelled_while_it_waits_lets_the_next_one_in(
    agentdb_url: str,
) -> None:
    """Its turn is nobody's."""
    async with Database(agentdb_url) as database:

        async def write() -> None:
            async with database.begin_system(reason="test") as uow:
                await ask(uow)

        async with database.begin_system(reason="test"):
            first, second = asyncio.create_task(write()), asyncio.create_task(write())
            await asyncio.wait({first, second}, timeout=0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
        await second


async def test_a_cursor_reads_on_where_its_first_rows_end(single: Database) -> None:
    """All rows come, in their order, by whatever way they are fetched."""
    async with single.read(reason="test") as uow:
        whole = (await uow.session.execute(NUMBERS)).scalars().all()
        stream = await uow.session.stream(NUMBERS)
        parts = [await stream.fetchone(), *await stream.fetchmany(AHEAD), *await stream.fetchall()]

    assert list(whole) == list(range(MANY))
    assert [row[0] for row in parts if row] == list(range(MANY))


@pytest.mark.parametrize(
    "stored",
    [
        "2026-01-02 03:04:05.000006",
        "2026-01-02T03:04:05.000006",
        "2026-01-02 05:04:05.000006+02:00",
    ],
)
async def test_an_instant_is_read_however_it_was_written(single: Database, stored: str) -> None:
    """Others may have written an offset."""
    query = text("SELECT :stored AS at").bindparams(stored=stored).columns(at=UTCDateTime())
    async with single.read(reason="test") as uow:
        found = (await uow.session.execute(query)).scalar_one()

    assert (found, found.tzinfo) == (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), UTC)


async def test_a_single_unit_that_does_nothing_waits_for_nobody(agentdb_url: str) -> None:
    """Nor does the next unit of its connection, which reads."""
    settings = Settings(pool_size=2, max_overflow=0, busy_timeout=0.05)
    async with (
        Database(agentdb_url, settings=settings) as database,
        database.begin_system(reason="test") as writer,
    ):
        await ask(writer)
        async with database.begin_system(reason="test", single=True):
            pass
        async with database.read(reason="test") as reader:
            await ask(reader)


async def test_a_connection_that_is_closed_in_its_turn_gives_it_up(agentdb_url: str) -> None:
    """Whoever closes it hears of nothing, and the next writer need not wait."""
    settings = Settings(pool_size=2, max_overflow=0, busy_timeout=0.05)
    async with Database(agentdb_url, settings=settings) as database:
        async with database.engine.connect() as writer:
            await writer.begin()
            driver: Any = (await writer.get_raw_connection()).driver_connection
            await driver.close()
            await writer.invalidate()
        async with database.begin_system(reason="test") as other:
            await ask(other)
