from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError, ValueTooLongError
from agentdb.models import PasswordHistory
from agentdb.testing import Factory, run_concurrently

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_entries_are_in_the_order_of_their_making(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Whatever the clock says: one that stands still, and one that goes back."""
    user = agentdb_make.user()
    clocks = [NOW, NOW, NOW - timedelta(days=1), NOW + timedelta(seconds=1)]
    for number, now in enumerate(clocks):
        await agentdb_uow.password_history.record(user.id, f"hash-{number}", "v2", now=now)
    rows = await agentdb_uow.password_history.recent(user.id, limit=3)

    assert [row.password_hash for row in rows] == ["hash-3", "hash-2", "hash-1"]
    assert [row.created_at - NOW for row in rows] == [
        timedelta(seconds=1),
        timedelta(microseconds=2),
        timedelta(microseconds=1),
    ]


@pytest.mark.parametrize("number", [-1, 1.5, True, None])
async def test_what_is_no_number_of_entries_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, number: Any
) -> None:
    """Nothing is trimmed."""
    entry = agentdb_make.password_history()
    with pytest.raises(InvalidValueError):
        await agentdb_uow.password_history.trim(entry.user_id, number)

    assert await agentdb_uow.password_history.count() == 1


async def test_a_stranger_has_no_history(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Neither nobody nor somebody of another tenant is recorded, shown or trimmed."""
    theirs = agentdb_make.tenant_account()
    other = agentdb_make.user(tenant=theirs)
    agentdb_make.password_history(user=other, tenant=theirs)
    for user_id in (other.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.password_history.record(user_id, "hash", "v2")
        assert await agentdb_uow.password_history.recent(user_id) == []
        assert await agentdb_uow.password_history.trim(user_id, 0) == 0


async def test_a_refused_entry_leaves_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The unit goes on."""
    user = agentdb_make.user()
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.password_history.record(user.id, "hash", "v" * 33)

    assert await agentdb_uow.password_history.count() == 0


@pytest.mark.agentdb_commits
async def test_eight_entries_at_once_have_eight_stamps(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Though their clocks show one instant."""
    user = agentdb_make.user()

    async def call(number: int) -> PasswordHistory:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.password_history.record(user.id, f"hash-{number}", "v2", now=NOW)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    stamps = sorted(row.created_at - NOW for row in outcomes.results)
    assert stamps == [timedelta(microseconds=n) for n in range(8)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.one_of(
            st.integers(-5, 5).map(lambda seconds: ("record", seconds)),
            st.integers(0, 4).map(lambda keep: ("trim", keep)),
        ),
        max_size=12,
    ),
    limit=st.integers(0, 6),
)
async def test_a_history_is_a_list_whose_end_is_cut(
    agentdb_database: Database, agentdb_make: Factory, steps: list[tuple[str, int]], limit: int
) -> None:
    """Any records, with any clocks, and trims leave what a list would; the stamps rise."""
    user = agentdb_make.user()
    kept: list[str] = []
    async with agentdb_database.begin_system(reason="test") as uow:
        history = uow.password_history
        for number, (verb, value) in enumerate(steps):
            if verb == "record":
                now = NOW + timedelta(seconds=value)
                await history.record(user.id, str(number), "v2", now=now)
                kept.insert(0, str(number))
            else:
                assert await history.trim(user.id, value) == max(len(kept) - value, 0)
                del kept[value:]
        rows = await history.recent(user.id, limit=limit)

        assert [row.password_hash for row in rows] == kept[:limit]
        stamps = [row.created_at for row in await history.recent(user.id, limit=100)]
        assert stamps == sorted(set(stamps), reverse=True)
