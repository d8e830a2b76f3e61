"""The databases of the fuzzer, filled once for each backend; its units are rolled back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from agentdb.testing import Template
from tests.tenancy.fuzz.arena import Arena, Stored, arena_of, stored


@pytest.fixture(scope="session", name="stored")
def stored_(agentdb_template: Template) -> Iterator[Stored]:
    """Three tenants in one database, and each of them alone."""
    with stored(agentdb_template) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def arena(stored: Stored) -> AsyncIterator[Arena]:
    """Engines on those databases."""
    async with arena_of(stored) as found:
        yield found
