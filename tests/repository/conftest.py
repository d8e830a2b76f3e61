"""A unit of work that reaches all tables, and a tenant with a row in each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agentdb import Database, UnitOfWork
from tests.rows import Rows, rows_of, store


@pytest.fixture
async def system(agentdb_database: Database) -> AsyncIterator[UnitOfWork]:
    """A system unit of work, rolled back with the test."""
    async with agentdb_database.begin_system(reason="a test of the repositories") as unit:
        yield unit


@pytest.fixture
async def parents(system: UnitOfWork) -> Rows:
    """A row of every table, of a tenant called ``walk``: what the rows of a test refer to."""
    rows = rows_of("walk")
    await system.session.run_sync(store, rows.values())
    return rows
