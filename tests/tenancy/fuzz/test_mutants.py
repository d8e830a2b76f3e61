"""The power of the fuzzer: whatever single barrier is taken away, it finds a hole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.tenancy.fuzz import barriers, hot, openings
from tests.tenancy.fuzz.arena import Arena, Stored
from tests.tenancy.fuzz.mutants import Mutant, survivors

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:.* statement has a cartesian product"),
]
Record = Callable[[str, object], None]

OF_CODE = [
    barriers.reading,
    barriers.writing,
    barriers.reloading,
    barriers.closing,
    barriers.moving,
    barriers.keeping,
    barriers.owning,
    barriers.referring,
    barriers.attaching,
    barriers.upserting,
    barriers.shaping,
    hot.confining,
]
OF_DATABASE = [
    openings.disabled,
    openings.unforced,
    openings.dropped,
    openings.opened,
    openings.unchecked,
]


@pytest.mark.parametrize("made", OF_CODE)
async def test_a_barrier_missing_in_the_code_is_found(
    arena: Arena, made: Callable[[], Iterator[Mutant]], record_property: Record
) -> None:
    """For each table: without its filter, or its guard, a unit of that table shows it."""
    mutants = list(made())
    record_property("mutants", len(mutants))

    assert await survivors(arena, mutants) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("made", OF_DATABASE)
async def test_a_barrier_missing_in_the_database_is_found(
    stored: Stored,
    arena: Arena,
    made: Callable[[Stored], Iterator[Mutant]],
    record_property: Record,
) -> None:
    """For each table: without a policy, with one that is open, or without FORCE."""
    mutants = list(made(stored))
    record_property("mutants", len(mutants))

    assert await survivors(arena, mutants) == []
