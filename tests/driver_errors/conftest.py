"""What the tests of errors share."""

from __future__ import annotations

from typing import Any

import pytest

from agentdb import Database


@pytest.fixture
async def system(agentdb_database: Database) -> Any:
    """A system unit of work; what a test leaves in it is committed at its end."""
    async with agentdb_database.begin_system(reason="a test of the errors") as unit:
        yield unit
