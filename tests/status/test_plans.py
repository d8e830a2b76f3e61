"""The look-ups of subscriptions follow indexes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from agentdb import Database, UnitOfWork
from tests.plans import plans_of
from tests.status.targets import wish

pytestmark = pytest.mark.agentdb_plans

Work: TypeAlias = Callable[[UnitOfWork], Awaitable[Any]]

PREFIX = "ix_status_subscriptions"
LOOKUPS: dict[str, tuple[Work, str]] = {
    "recipients": (lambda uow: uow.status_subscriptions.recipients("major"), f"{PREFIX}_active"),
    "search": (lambda uow: uow.status_subscriptions.search(), f"{PREFIX}_created"),
    "subscribe": (
        lambda uow: uow.status_subscriptions.subscribe(**wish()),
        f"{PREFIX}_target_hash",
    ),
}


@pytest.mark.parametrize("name", LOOKUPS)
async def test_a_look_up_follows_its_index(agentdb_database: Database, name: str) -> None:
    """And reads no table from end to end."""
    work, index = LOOKUPS[name]
    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, work(uow))

    plan = plans[-1]
    plan.assert_uses_index(index)
    plan.assert_scans_nothing()
