"""Other processes, threads and event loops."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from agentdb import Database
from agentdb.errors import (
    ConfigurationError,
)

sqlite = pytest.mark.agentdb_only("sqlite")


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
