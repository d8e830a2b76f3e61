"""One migration of a database at a time, in this process too."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import Engine, event

from agentdb import Database, migrate
from agentdb.errors import UnavailableError


@pytest.mark.agentdb_commits
async def test_many_upgrades_of_one_process_apply_once(agentdb_empty_url: str) -> None:
    """Eight database objects that upgrade at once all succeed."""
    databases = [Database(agentdb_empty_url) for _ in range(8)]
    await asyncio.gather(*(database.upgrade() for database in databases))
    for database in databases:
        await database.dispose()

    assert [migrate.current(agentdb_empty_url)] == migrate.heads()


@contextmanager
def connections(*, refused: set[int]) -> Generator[None]:
    """Refuse the connections of these numbers, as a server does that has no more."""
    made = 0

    def connect(*_: object) -> None:
        nonlocal made
        made += 1
        if made in refused:
            raise psycopg.OperationalError("sorry, too many clients already")

    event.listen(Engine, "do_connect", connect)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", connect)


@pytest.mark.agentdb_only("postgres")
def test_who_holds_the_lock_waits_for_a_second_connection(agentdb_empty_url: str) -> None:
    """Those who wait for the lock may have taken the last ones."""
    with connections(refused={2, 3}):
        applied = migrate.upgrade(agentdb_empty_url)

    assert applied == migrate.history()


@pytest.mark.agentdb_only("postgres")
def test_a_server_that_cannot_be_reached_is_told_at_once(agentdb_empty_url: str) -> None:
    """The first connection is not waited for: that is what `agentdb.migrate.wait` is for."""
    with connections(refused={1}), pytest.raises(UnavailableError):
        migrate.upgrade(agentdb_empty_url)
