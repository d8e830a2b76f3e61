"""What the database object keeps when connections, servers, processes or tasks fail."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from agentdb import Database, Settings, UnitOfWork, configure, engines
from agentdb.errors import (
    AgentDBError,
    CommitUnknownError,
    ConfigurationError,
    PermissionDeniedError,
    TenantMismatchError,
    UnavailableError,
)
from agentdb.models import TenantAccount
from agentdb.urls import async_url
from tests.test_database import make, slugs
from tests.test_poolers import proxied

commits = pytest.mark.agentdb_commits
postgres = pytest.mark.agentdb_only("postgres")
sqlite = pytest.mark.agentdb_only("sqlite")

ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) "
    "SELECT count(*) FROM n"
)


async def backend(unit: UnitOfWork) -> int:
    """Return the process of the server that a unit talks to."""
    found: int = (await unit.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return found


async def end(url: str, process: int) -> None:
    """End a process of the server, from another connection, and wait until it is gone."""
    async with Database(url) as database, database.begin_system(reason="test") as unit:
        await unit.session.execute(text("SELECT pg_terminate_backend(:p, 5000)"), {"p": process})


async def activity(url: str) -> list[tuple[str, str]]:
    """Return state and statement of the other connections to the database."""
    query = text(
        "SELECT state, query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with Database(url) as database, database.begin_system(reason="test") as unit:
        return [(state, statement) for state, statement in await unit.session.execute(query)]


async def run_statement(unit: UnitOfWork, statement: str) -> Any:
    """Run a statement and return its first value."""
    return (await unit.session.execute(text(statement))).scalar()


# --- a transaction that is gone


@postgres
async def test_a_commit_that_would_store_nothing_is_refused(agentdb_url: str) -> None:
    """PostgreSQL rolls back when it is asked to commit after an error; that is not passed over."""
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        with pytest.raises(AgentDBError, match="rolled back"):
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                with pytest.raises(AgentDBError):
                    await unit.session.execute(text("SELECT 1 / 0"))

        assert "acme" not in await slugs(database)
        async with database.begin_system(reason="test") as unit:
            await make(unit)
        assert "acme" in await slugs(database)


@postgres
async def test_a_statement_after_a_failed_one_is_refused_as_such(agentdb_url: str) -> None:
    """It is no lost connection, so nothing is tried again."""
    tries: list[int] = []

    async def work(unit: UnitOfWork) -> None:
        tries.append(1)
        with pytest.raises(AgentDBError):
            await unit.session.execute(text("SELECT 1 / 0"))
        await unit.session.execute(text("SELECT 1"))

    async with Database(agentdb_url) as database:
        with pytest.raises(AgentDBError, match="25P02"):
            await database.run(work, reason="test")

    assert len(tries) == 1


@sqlite
async def test_a_transaction_that_sqlite_gave_up_stores_nothing(agentdb_url: str) -> None:
    """After a full disk, a unit that goes on regardless neither stores the rest nor commits."""
    async with Database(agentdb_url) as database:
        with pytest.raises(AgentDBError):
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await unit.session.execute(text("PRAGMA max_page_count = 1"))
                with pytest.raises(UnavailableError, match="disk is full"):
                    await unit.tenant_accounts.add_many(
                        TenantAccount(slug=f"s{n}", name="n" * 120) for n in range(3000)
                    )
                with pytest.raises(AgentDBError):
                    await unit.tenant_accounts.count()

        assert await slugs(database) == set()
        async with database.begin_system(reason="test") as unit:
            await make(unit)


# --- connections that break


@postgres
@pytest.mark.parametrize("ping_after", [0.0, 60.0])
async def test_a_connection_that_broke_in_the_pool_is_replaced(
    agentdb_url: str, ping_after: float
) -> None:
    """Tested before use or not, the unit after a restart of the server notices nothing."""
    async with Database(agentdb_url, settings=Settings(ping_after=ping_after)) as database:
        async with database.begin_system(reason="test") as one, database.read(reason="t") as two:
            processes = {await backend(one), await backend(two)}
        for process in processes:
            await end(agentdb_url, process)
        for _ in range(3):
            async with database.begin_system(reason="test") as unit:
                assert await backend(unit) not in processes


@postgres
async def test_a_connection_that_breaks_in_a_unit_is_unavailable(agentdb_url: str) -> None:
    """The statement raises, the pool drops the connection and the next unit has another."""
    async with Database(agentdb_url) as database:
        process = 0
        with pytest.raises(UnavailableError) as caught:
            async with database.begin_system(reason="test") as unit:
                process = await backend(unit)
                await make(unit)
                await end(agentdb_url, process)
                await unit.tenant_accounts.count()

        assert caught.value.lost
        assert await slugs(database) == set()
        async with database.begin_system(reason="test") as unit:
            assert await backend(unit) != process


@postgres
@pytest.mark.parametrize("state", ["0A000", "25006"])
async def test_a_server_that_only_reads_is_left(
    agentdb_url: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """After a failover to a standby each connection fails at most once, then it is made anew."""
    real: Callable[..., None] = engines._send
    standby = [True]

    def send(connection: Any, script: str) -> None:
        # What a standby says to BEGIN READ WRITE; it says 25006 to a write.
        refusal = f"BEGIN; DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$"
        real(connection, refusal if standby[0] else script)

    async with Database(agentdb_url) as database:
        async with database.begin_system(reason="test") as unit:
            process = await backend(unit)
        monkeypatch.setattr(engines, "_send", send)
        with pytest.raises(UnavailableError, match="only reads") as caught:
            async with database.begin_system(reason="test"):
                pass
        standby[0] = False
        async with database.begin_system(reason="test") as unit:
            assert await backend(unit) != process

    assert caught.value.lost


@postgres
async def test_a_write_that_a_standby_refuses_drops_its_connection(agentdb_url: str) -> None:
    """SQLSTATE 25006 outside a reading unit counts as a lost connection."""
    refusal = "DO $$ BEGIN RAISE 'no' USING ERRCODE = '25006'; END $$"
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        process = 0
        with pytest.raises(UnavailableError, match="only reads"):
            async with database.begin_system(reason="test") as unit:
                process = await backend(unit)
                await unit.session.execute(text(refusal))
        async with database.begin_system(reason="test") as unit:
            assert await backend(unit) != process


class Wire:
    """Loses the answer to a COMMIT on its way, as often as it is told to."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, data: bytes) -> bytes:
        """Pass on what the server says."""
        if b"COMMIT\0" in data and self.times:
            self.times -= 1
            raise ConnectionResetError
        return data


@asynccontextmanager
async def lossy(url: str, times: int) -> AsyncGenerator[Database]:
    """Yield a database whose first answers to COMMIT are lost."""
    async with proxied(url, Wire(times)) as proxy, Database(proxy) as database:
        yield database


@postgres
async def test_a_lost_answer_to_commit_is_an_unknown_outcome(agentdb_url: str) -> None:
    """The unit is not repeated, for it may have committed: here it has."""
    async with lossy(agentdb_url, 1) as database:
        with pytest.raises(CommitUnknownError):
            await database.run(make, reason="test")

        assert await slugs(database) == {"acme"}


@postgres
async def test_a_lost_answer_to_commit_is_settled(agentdb_url: str) -> None:
    """``settle`` finds what was committed by its key, even if its own answer is lost at first."""
    asked: list[int] = []

    async def settle(unit: UnitOfWork) -> TenantAccount | None:
        asked.append(1)
        return await unit.tenant_accounts.by_slug("acme")

    async with lossy(agentdb_url, 2) as database:
        found = await database.run(make, reason="test", settle=settle)

        assert (found.slug, len(asked)) == ("acme", 2)
        assert await slugs(database) == {"acme"}


@postgres
async def test_what_cannot_be_settled_stays_unknown(agentdb_url: str) -> None:
    """A server that is away when it is asked leaves the outcome unknown, and not repeatable."""

    async def settle(_: UnitOfWork) -> TenantAccount | None:
        raise UnavailableError("the server is away")

    async with lossy(agentdb_url, 1) as database:
        with pytest.raises(CommitUnknownError):
            await database.run(make, reason="test", settle=settle)


@commits
async def test_what_was_not_committed_runs_again(
    agentdb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ``settle`` finds nothing, the whole unit runs again, and commits once."""
    real, lost = AsyncSession.commit, [True]

    async def commit(session: AsyncSession) -> None:
        if lost:
            lost.clear()
            await session.rollback()
            raise UnavailableError("lost before it arrived")
        await real(session)

    async def settle(unit: UnitOfWork) -> TenantAccount | None:
        return await unit.tenant_accounts.by_slug("acme")

    monkeypatch.setattr(AsyncSession, "commit", commit)
    found = await agentdb_database.run(make, reason="test", settle=settle)

    assert found.slug == "acme"
    assert await slugs(agentdb_database) == {"acme"}


@commits
async def test_a_full_disk_is_not_tried_again(agentdb_database: Database) -> None:
    """Trying again helps against a restart, not against what stays as it is."""
    tries: list[int] = []

    async def work(_: UnitOfWork) -> None:
        tries.append(1)
        full = UnavailableError("the disk is full")
        full.__cause__ = type("DiskFull", (Exception,), {"sqlstate": "53100"})()
        raise full

    with pytest.raises(UnavailableError):
        await agentdb_database.run(work, reason="test")

    assert len(tries) == 1


@postgres
async def test_a_database_that_does_not_exist_is_unavailable(agentdb_url: str) -> None:
    """At once, with no other connection tried and without the URL in the message."""
    url = make_url(agentdb_url).set(database="no_such_database", password="sk-canary")
    async with Database(url) as database:
        with pytest.raises(UnavailableError) as caught:
            async with database.begin_system(reason="test"):
                pass

    assert not caught.value.lost
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"


# --- cancelled tasks


@postgres
async def test_a_cancelled_statement_ends_on_the_server_too(agentdb_url: str) -> None:
    """Neither it nor its transaction is left behind."""
    async with Database(agentdb_url) as database:
        started = asyncio.Event()

        async def unit() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                started.set()
                await run_statement(unit, "SELECT pg_sleep(600)")

        task = asyncio.create_task(unit())
        await started.wait()
        for _ in range(1000):
            if any("pg_sleep" in statement for _, statement in await activity(agentdb_url)):
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert {state for state, _ in await activity(agentdb_url)} <= {"idle"}
        assert await slugs(database) == set()


@sqlite
async def test_a_cancelled_statement_frees_the_file(agentdb_url: str) -> None:
    """It is interrupted in its thread, so that the next writer does not wait for its end."""
    async with Database(agentdb_url, settings=Settings(busy_timeout=20)) as database:

        async def unit() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await run_statement(unit, ENDLESS)

        await cancelled_at_work(unit())
        async with asyncio.timeout(10), database.begin_system(reason="test") as unit_after:
            await make(unit_after)


async def cancelled_at_work(work: Any) -> None:
    """Cancel *work* in the midst of a long statement."""
    task = asyncio.ensure_future(work)
    for _ in range(2000):
        await asyncio.sleep(0)
    await asyncio.wait({task}, timeout=0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_database_in_memory_outlives_a_cancelled_unit() -> None:
    """It is its connection, which therefore is kept; the unit is rolled back."""
    async with Database("sqlite://") as database:
        await database.upgrade()
        async with database.begin_system(reason="test") as unit:
            await make(unit, "kept")

        async def work() -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit)
                await run_statement(unit, ENDLESS)

        await cancelled_at_work(work())
        assert await slugs(database) == {"kept"}
        async with database.begin_system(reason="test") as unit:
            await make(unit)


@commits
async def test_a_cancellation_that_waits_is_heard_before_commit(
    agentdb_database: Database,
) -> None:
    """A task that was cancelled before its block ended stores nothing."""

    async def unit() -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            await make(unit)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(unit())

    assert await slugs(agentdb_database) == set()


@postgres
async def test_cancelled_units_leave_no_transaction_open(agentdb_url: str) -> None:
    """Cancelled at any step, a unit has committed as a whole or not at all."""
    async with Database(agentdb_url, settings=Settings(pool_size=3, max_overflow=0)) as database:

        async def unit(number: int) -> None:
            async with database.begin_system(reason="test") as unit:
                await make(unit, f"a{number}")
                await make(unit, f"b{number}")

        for delay in range(40):
            task = asyncio.create_task(unit(delay))
            await asyncio.wait({task}, timeout=delay / 2500)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        stored = await slugs(database)
        idle = {state for state, _ in await activity(agentdb_url)}

    assert idle <= {"idle"}
    assert {s[1:] for s in stored if s.startswith("a")} == {
        s[1:] for s in stored if s.startswith("b")
    }


# --- other processes, threads and loops


def script(program: str, *arguments: str, **environment: str) -> str:
    """Run a program in an interpreter of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
def test_a_child_does_not_end_the_transaction_of_its_parent(agentdb_url: str, ending: str) -> None:
    """Whatever the child does with an inherited unit, the parent's goes on and commits."""
    program = """
import asyncio, os, sys
from agentdb import Database
from agentdb.errors import ForkedEngineError
async def child(session, ending):
    try:
        await getattr(session, ending)()
    except ForkedEngineError:
        assert ending == "commit"
async def main(url, ending):
    async with Database(url) as database:
        async with database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.create("Acme", "before")
            if (pid := os.fork()) == 0:
                status = 1
                try:
                    asyncio._set_running_loop(None)
                    asyncio.run(child(unit.session, ending))
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            await unit.tenant_accounts.create("Acme", "after")
        async with database.read(reason="test") as unit:
            print(sorted(row.slug for row in await unit.tenant_accounts.all()))
asyncio.run(main(*sys.argv[1:]))
"""
    assert script(program, agentdb_url, ending) == "['after', 'before']\n"


def test_one_database_serves_one_loop_after_another(agentdb_url: str) -> None:
    """A script may call asyncio.run several times; the connections of a loop end with it."""
    database = Database(agentdb_url)

    async def use() -> None:
        async with database.begin_system(reason="test") as unit:
            await unit.tenant_accounts.count()

    for _ in range(3):
        asyncio.run(use())
    asyncio.run(database.dispose())


async def test_a_second_loop_at_the_same_time_is_refused(agentdb_url: str) -> None:
    """Two loops would wait for each other's connections for ever; the error says so."""
    raised: list[BaseException] = []
    async with Database(agentdb_url) as database:

        async def use() -> None:
            async with database.begin_system(reason="test") as unit:
                await unit.tenant_accounts.count()

        def elsewhere() -> None:
            try:
                asyncio.run(use())
            except ConfigurationError as error:
                raised.append(error)

        await use()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        await use()

    assert [str(error) for error in raised] == [
        "a Database serves one event loop: make one for each"
    ]


@sqlite
def test_writers_of_four_processes_wait_for_each_other(agentdb_url: str) -> None:
    """Read-then-write units of several processes on one file meet no lock error."""
    program = """
import asyncio, sys
from agentdb import Database
async def main(url, name):
    async with Database(url) as database:
        for number in range(8):
            async with database.begin_system(reason="test") as unit:
                await unit.tenant_accounts.count()
                await unit.tenant_accounts.create("Acme", f"{name}-{number}")
asyncio.run(main(*sys.argv[1:]))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, agentdb_url, f"p{n}"]) for n in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]

    async def count() -> int:
        async with Database(agentdb_url) as database, database.read(reason="test") as unit:
            return await unit.tenant_accounts.count()

    assert asyncio.run(count()) == 32


def test_defaults_are_instants_whatever_the_time_zone(agentdb_url: str) -> None:
    """In New York too, stamps are of now, and what is read is aware and UTC."""
    program = """
import asyncio, sys, time
from datetime import UTC, datetime, timedelta
from agentdb import Database
async def main(url):
    assert time.tzname != ("UTC", "UTC")
    async with Database(url) as database:
        async with database.begin_system(reason="test") as unit:
            key = (await unit.tenant_accounts.create("Acme", "acme")).id
            clock = await unit.read_clock()
        async with database.read(reason="test") as unit:
            row = await unit.tenant_accounts.require(key)
        for stamp in (row.created_at, clock):
            assert stamp.tzinfo is UTC, stamp
            assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=1), stamp
asyncio.run(main(sys.argv[1]))
"""
    script(program, agentdb_url, TZ="America/New_York", PGTZ="America/New_York")


# --- settings of the server


@postgres
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("timezone", "Asia/Kathmandu"),
        ("statement_timeout", "1s"),
        ("datestyle", "German, DMY"),
    ],
)
async def test_settings_of_the_database_change_nothing(
    agentdb_url: str, setting: str, value: str
) -> None:
    """Each unit says itself what it needs, whatever the operator has set."""
    name = make_url(agentdb_url).database
    async with Database(agentdb_url) as database, database.begin_system(reason="test") as unit:
        await unit.session.execute(text(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'"))
    async with Database(agentdb_url) as database:
        async with database.begin_system(reason="test") as unit:
            row = await make(unit)
            assert await run_statement(unit, "SHOW transaction_isolation") == "read committed"
            assert await run_statement(unit, "SHOW transaction_read_only") == "off"
            assert await run_statement(unit, "SHOW statement_timeout") == "30s"
        async with database.read(reason="test") as unit:
            again = await unit.tenant_accounts.require(row.id)
            assert again.created_at == row.created_at
            assert await run_statement(unit, "SHOW transaction_isolation") == "repeatable read"
            assert await run_statement(unit, "SHOW transaction_read_only") == "on"


@postgres
async def test_limits_end_with_the_unit(agentdb_url: str) -> None:
    """The connection is given back as it was: nothing is set for the session."""
    settings = Settings(statement_timeout=7, pool_size=1)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    async with Database(agentdb_url, settings=settings) as database:
        async with database.begin(tenant=UUID(int=7)):
            pass
        async with database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.rollback()
            shown = [await (await raw.execute(f"SHOW {name}")).fetchone() for name in names]

    assert shown == [("0",), ("0",), ("0",)]


@postgres
async def test_an_idle_unit_is_ended_by_the_server(agentdb_url: str) -> None:
    """A unit that sits in its transaction too long holds its locks no longer."""
    async with Database(agentdb_url, settings=Settings(idle_timeout=0.01)) as database:
        process = 0
        with pytest.raises(UnavailableError):
            async with database.begin_system(reason="test") as unit:
                process = await backend(unit)
                for _ in range(1000):
                    if not any("idle in" in state for state, _ in await activity(agentdb_url)):
                        break
                await unit.tenant_accounts.count()
        async with database.begin_system(reason="test") as unit:
            assert await backend(unit) != process


# --- reading units, hosts


@commits
async def test_a_reading_unit_writes_nothing_by_sql_either(agentdb_url: str) -> None:
    """The database refuses it, and the connection writes again in the next unit."""
    statement = "UPDATE billing_plans SET name = 'x'"
    options = {"agentdb_confined": True}
    async with Database(agentdb_url, settings=Settings(pool_size=1)) as database:
        with pytest.raises(PermissionDeniedError, match="read"):
            async with database.read(reason="test") as unit:
                await unit.session.execute(text(statement), execution_options=options)
        async with database.begin_system(reason="test") as unit:
            await unit.session.execute(text(statement), execution_options=options)
            await make(unit)
        assert await slugs(database) == {"acme"}


async def test_a_database_can_be_used_after_dispose(agentdb_url: str) -> None:
    """Dispose closes what is idle; the next unit connects anew."""
    async with Database(agentdb_url) as database:
        async with database.begin_system(reason="test") as unit:
            await make(unit)
        await database.dispose()
        assert await slugs(database) == {"acme"}


async def test_a_host_joins_its_own_transaction(agentdb_url: str) -> None:
    """The unit works in the host's session; the host commits, or nothing is stored."""
    engine = create_async_engine(async_url(agentdb_url))
    configure(engine)
    configure(engine)
    for end_it in (AsyncSession.rollback, AsyncSession.commit):
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await make(UnitOfWork(session, system="the host's job"))
            await end_it(session)
        async with Database(agentdb_url) as database:
            expected = {"acme"} if end_it is AsyncSession.commit else set[str]()
            assert await slugs(database) == expected
    await engine.dispose()


async def test_a_session_of_an_engine_that_was_not_configured_is_refused(agentdb_url: str) -> None:
    """Its errors, forks and locks would not be what agentdb promises."""
    engine = create_async_engine(async_url(agentdb_url))
    async with AsyncSession(engine) as session:
        with pytest.raises(ConfigurationError, match=r"agentdb\.configure"):
            UnitOfWork(session, system="the host's job")
    await engine.dispose()


async def test_a_session_belongs_to_one_tenant(agentdb_session: AsyncSession) -> None:
    """A second unit over the same session has the same tenant."""
    UnitOfWork(agentdb_session, tenant=UUID(int=1))
    UnitOfWork(agentdb_session, tenant=UUID(int=1))

    with pytest.raises(TenantMismatchError):
        UnitOfWork(agentdb_session, tenant=UUID(int=2))
    with pytest.raises(TenantMismatchError):
        UnitOfWork(agentdb_session, system="all of them")


@pytest.mark.parametrize("dialect", ["mysql+pymysql://h/d", "sqlite+pysqlcipher://"])
def test_an_engine_of_another_database_is_not_configured(dialect: str) -> None:
    """Configure takes PostgreSQL with psycopg and SQLite alone."""
    engine: Any = type("Engine", (), {"url": make_url(dialect)})()

    with pytest.raises(ConfigurationError):
        configure(engine)
