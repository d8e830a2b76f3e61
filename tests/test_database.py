from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from agentdb import Database, Settings, UnitOfWork
from agentdb.errors import (
    CommitUnknownError,
    ConfigurationError,
    CorruptDatabaseError,
    DuplicateError,
    InvalidValueError,
    PermissionDeniedError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.models import TenantAccount
from agentdb.testing import run_concurrently
from agentdb.urls import EMBEDDED_DEFAULT, ENVIRONMENT

commits = pytest.mark.agentdb_commits


async def make(uow: UnitOfWork, slug: str = "acme") -> TenantAccount:
    """Store a tenant."""
    return await uow.tenant_accounts.create("Acme", slug)


async def slugs(database: Database) -> set[str]:
    """Return the slugs that are stored."""
    async with database.read(reason="test") as uow:
        return {tenant.slug for tenant in await uow.tenant_accounts.all()}


async def test_a_unit_commits_when_its_block_ends(agentdb_database: Database) -> None:
    """What was written is there for the next unit."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await make(uow)

    assert "acme" in await slugs(agentdb_database)


async def test_a_unit_rolls_back_when_its_block_raises(agentdb_database: Database) -> None:
    """Nothing of a unit that raised is stored, and the exception goes on."""

    async def unit() -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await make(uow)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unit()

    assert "acme" not in await slugs(agentdb_database)


async def test_a_unit_goes_on_after_a_refused_verb(agentdb_database: Database) -> None:
    """A verb that raised undoes itself alone."""
    async with agentdb_database.begin_system(reason="test") as uow:
        await make(uow)
        with pytest.raises(DuplicateError):
            await make(uow)
        await make(uow, "other")

    assert {"acme", "other"} <= await slugs(agentdb_database)


async def test_a_reading_unit_writes_nothing(agentdb_database: Database) -> None:
    """A write in a reading unit is refused, and the next unit writes again."""
    async with agentdb_database.read(reason="test") as uow:
        with pytest.raises(PermissionDeniedError):
            await make(uow)
    async with agentdb_database.begin_system(reason="test") as uow:
        await make(uow)

    assert "acme" in await slugs(agentdb_database)


@commits
async def test_a_reading_unit_sees_one_snapshot(agentdb_database: Database) -> None:
    """What others commit meanwhile stays hidden, and the reader does not hold them up."""
    async with agentdb_database.read(reason="test") as reader:
        before = await reader.tenant_accounts.count()
        async with agentdb_database.begin_system(reason="test") as uow:
            await make(uow)

        assert await reader.tenant_accounts.count() == before


@commits
async def test_a_passing_failure_is_tried_again_as_a_whole(agentdb_database: Database) -> None:
    """The unit runs again until it succeeds, and commits once."""
    tries: list[int] = []

    async def work(uow: UnitOfWork) -> str:
        tries.append(len(tries))
        tenant = await make(uow)
        if len(tries) < 3:
            raise TransientError("again")
        return tenant.slug

    assert await agentdb_database.run(work, reason="test") == "acme"
    assert tries == [0, 1, 2]


@commits
async def test_a_failure_that_does_not_pass_is_raised_at_last(agentdb_database: Database) -> None:
    """Five tries of a passing failure, one of any other."""
    tries: list[type[Exception]] = []

    def failing(error: Exception) -> Callable[[UnitOfWork], Awaitable[None]]:
        async def work(_: UnitOfWork) -> None:
            tries.append(type(error))
            raise error

        return work

    for error in (TransientError("again"), DuplicateError("taken")):
        with pytest.raises(type(error)):
            await agentdb_database.run(failing(error), reason="test")

    assert tries == [TransientError] * 5 + [DuplicateError]


@commits
@pytest.mark.agentdb_only("postgres")
async def test_a_connection_lost_before_commit_is_replaced(agentdb_database: Database) -> None:
    """A unit whose server process was ended runs again on another connection."""
    tries: list[int] = []

    async def work(uow: UnitOfWork) -> None:
        tries.append(1)
        await make(uow)
        if len(tries) == 1:
            await uow.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await agentdb_database.run(work, reason="test")

    assert (len(tries), "acme" in await slugs(agentdb_database)) == (2, True)


@commits
async def test_an_unknown_commit_is_settled_or_raised(
    agentdb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COMMIT without an answer is not repeated, unless the caller tells that it failed."""
    real, lost = Session.commit, [True]

    def commit(session: Session) -> None:
        real(session)
        if lost.pop() if lost else False:
            raise UnavailableError("lost")

    monkeypatch.setattr(Session, "commit", commit)
    with pytest.raises(CommitUnknownError):
        await agentdb_database.run(make, reason="test")
    lost.append(True)

    async def other(uow: UnitOfWork) -> str:
        return (await make(uow, "other")).slug

    async def settle(uow: UnitOfWork) -> str | None:
        found = await uow.tenant_accounts.by_slug("other")
        return None if found is None else "settled"

    assert await agentdb_database.run(other, reason="test", settle=settle) == "settled"
    assert {"acme", "other"} <= await slugs(agentdb_database)


@commits
async def test_a_cancellation_waits_for_the_commit(
    agentdb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled during COMMIT, twice even, a unit has committed and then raises."""
    real, committing = Session.commit, asyncio.Event()

    def commit(session: Session) -> None:
        committing.set()
        await_only(asyncio.sleep(0))
        real(session)

    monkeypatch.setattr(Session, "commit", commit)

    async def unit() -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await make(uow)

    task = asyncio.create_task(unit())
    await committing.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "acme" in await slugs(agentdb_database)


@commits
async def test_cancelled_units_leave_the_pool_whole(agentdb_url: str) -> None:
    """After many cancellations the pool serves as before, and nothing half done is stored."""
    async with Database(agentdb_url, settings=Settings(pool_size=2, max_overflow=0)) as database:

        async def unit(number: int) -> None:
            async with database.begin_system(reason="test") as uow:
                await make(uow, f"t{number}")
                raise ZeroDivisionError

        for steps in range(20):
            task = asyncio.create_task(unit(steps))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        assert {s for s in await slugs(database) if s.startswith("t")} == set()
        async with database.begin_system(reason="test") as uow:
            await make(uow)


@commits
async def test_an_exhausted_pool_is_unavailable_in_time(agentdb_url: str) -> None:
    """A unit that gets no connection raises after the time-out of the pool."""
    settings = Settings(pool_size=1, max_overflow=0, pool_timeout=0.05)
    async with Database(agentdb_url, settings=settings) as database:
        async with database.read(reason="test"):
            with pytest.raises(UnavailableError):
                async with database.read(reason="test"):
                    pass
        assert await slugs(database) is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@commits
def test_a_forked_child_gets_connections_of_its_own(agentdb_url: str) -> None:
    """In the child a unit of the parent is refused, and a new one works."""
    program = """
import asyncio, os, sys
from agentdb import Database
from agentdb.errors import ForkedEngineError
async def main(url):
    db = Database(url)
    async with db.read(reason="test") as uow:
        await uow.tenant_accounts.count()
        pid = os.fork()
        if pid == 0:
            try:
                await uow.tenant_accounts.count()
            except ForkedEngineError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        await uow.tenant_accounts.count()
    await db.dispose()
async def child(db):
    async with db.read(reason="test") as uow:
        await uow.tenant_accounts.count()
    await db.dispose()
asyncio.run(main(sys.argv[1]))
db = Database(sys.argv[1])
async def use():
    async with db.read(reason="test") as uow:
        await uow.tenant_accounts.count()
asyncio.run(use())
if (pid := os.fork()) == 0:
    asyncio.run(child(db))
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
asyncio.run(db.dispose())
"""
    command = [sys.executable, "-c", program, agentdb_url]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr.decode()


async def test_a_database_in_memory_keeps_its_tables_over_units() -> None:
    """Units share the one connection, one after the other, and references are enforced."""
    async with Database("sqlite://") as database:
        await database.upgrade()

        async def call(number: int) -> None:
            async with database.begin_system(reason="test") as uow:
                await make(uow, f"t{number}")

        assert await run_concurrently(8, call) == [None] * 8
        assert len(await slugs(database)) == 8
        async with database.begin_system(reason="test") as uow:
            assert (await uow.session.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1


@pytest.mark.agentdb_only("sqlite")
@commits
async def test_sqlite_connections_are_set_up(agentdb_database: Database) -> None:
    """Foreign keys, write-ahead log and waiting for other writers."""
    async with agentdb_database.begin_system(reason="test") as uow:
        found = {
            name: (await uow.session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("foreign_keys", "journal_mode", "busy_timeout", "synchronous")
        }

    assert found == {
        "foreign_keys": 1,
        "journal_mode": "wal",
        "busy_timeout": 10_000,
        "synchronous": 1,
    }


@commits
async def test_sixteen_writers_wait_for_each_other(agentdb_url: str) -> None:
    """Read-then-write units of many tasks lose nothing and meet no lock error."""
    settings = Settings(pool_size=16, busy_timeout=30)
    async with Database(agentdb_url, settings=settings) as database:

        async def call(number: int) -> None:
            for turn in range(3):
                async with database.begin_system(reason="test") as uow:
                    await uow.tenant_accounts.count()
                    await make(uow, f"w{number}-{turn}")

        assert await run_concurrently(16, call) == [None] * 16
        assert len([s for s in await slugs(database) if s.startswith("w")]) == 48


@pytest.mark.agentdb_only("postgres")
@commits
async def test_limits_hold_for_the_transaction_alone(agentdb_url: str) -> None:
    """Time-outs and the tenant are set in a unit and gone after it."""
    settings = Settings(statement_timeout=7, lock_timeout=3, idle_timeout=None, pool_size=1)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    tenant = UUID(int=7)
    async with Database(agentdb_url, settings=settings) as database:
        async with database.begin(tenant=tenant) as uow:
            inside = [(await uow.session.execute(text(f"SHOW {n}"))).scalar_one() for n in names]
            seen = text("SELECT current_setting('agentdb.tenant_id', true)")
            mine = (await uow.session.execute(seen)).scalar_one()
        async with database.begin_system(reason="test") as uow:
            after = (await uow.session.execute(seen)).scalar_one()

    assert inside == ["7s", "3s", "0"]
    assert (mine, after) == (str(tenant), "")


async def test_health_tells_the_revision(agentdb_database: Database) -> None:
    """A migrated database is reachable and has a revision."""
    health = await agentdb_database.health()

    assert (health.reachable, health.revision is not None) == (True, True)
    assert health.latency >= 0


async def test_health_of_an_absent_server_is_an_answer() -> None:
    """An unreachable database is reported, not raised."""
    async with Database("postgresql://u:sk-canary@127.0.0.1:1/db") as database:
        health = await database.health()
        with pytest.raises(UnavailableError) as caught:
            async with database.begin_system(reason="test"):
                pass

        assert not health.reachable
        assert "canary" not in f"{caught.value!r} {database!r} {caught.value.__cause__!r}"


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """A file of other content is corrupt, a folder or a missing one unavailable."""
    (tmp_path / "text.db").write_text("this is no database" * 100)
    cases = {
        "text.db": CorruptDatabaseError,
        "missing/x.db": UnavailableError,
        ".": UnavailableError,
    }
    for name, error in cases.items():
        async with Database(f"sqlite:///{tmp_path / name}") as database:
            with pytest.raises(error):
                async with database.begin_system(reason="test"):
                    pass


async def test_a_database_without_tables_asks_for_the_upgrade(agentdb_empty_url: str) -> None:
    """Using a database that was not migrated says what to do."""
    async with Database(agentdb_empty_url) as database:
        with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
            async with database.begin_system(reason="test") as uow:
                await uow.tenant_accounts.count()


def test_the_environment_names_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """AGENTDB_DATABASE_URL, else the embedded default; never the host's variable."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/db")
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    embedded = Database.from_env()
    monkeypatch.setenv(ENVIRONMENT, "postgres://u@h/d")
    named = Database.from_env()

    assert embedded.url.render_as_string() == EMBEDDED_DEFAULT
    assert named.url.render_as_string() == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "postgresql+asyncpg://h/d"])
def test_other_urls_are_refused(url: str) -> None:
    """A database that agentdb does not speak is an error at once."""
    with pytest.raises(ConfigurationError):
        Database(url)


async def test_a_system_unit_needs_a_reason(agentdb_database: Database) -> None:
    """A blank reason is none."""
    with pytest.raises(InvalidValueError):
        async with agentdb_database.begin_system(reason="  "):
            pass
