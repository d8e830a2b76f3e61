from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.values import LoginResult
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.testing import Factory, Queries

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
FAILURE, SUCCESS = LoginResult.FAILURE, LoginResult.SUCCESS


async def test_an_attempt_is_recorded(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Of an unknown address unless one is given; a long user agent is cut."""
    user = agentdb_make.user()
    record = agentdb_uow.user_login_events.record
    bare = await record(user.id, FAILURE, now=NOW)
    full = await record(
        user.id, SUCCESS, ip_hash="abc", user_agent="x" * 600, reason="sso", now=NOW
    )

    assert (bare.ip_hash, bare.user_agent, bare.reason) == ("unknown", None, None)
    assert (full.ip_hash, full.user_agent, full.reason) == ("abc", "x" * 512, "sso")
    assert {bare.tenant_id, full.tenant_id} == {agentdb_uow.tenant}
    assert {bare.created_at, full.created_at} == {NOW}


async def test_a_refused_attempt_leaves_nothing(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A stranger, a result that is none, a reason that is too long; the unit goes on."""
    user = agentdb_make.user()
    other = agentdb_make.user(tenant=agentdb_make.tenant_account())
    record = agentdb_uow.user_login_events.record
    for stranger in (other.id, uuid4()):
        with pytest.raises(NotFoundError):
            await record(stranger, FAILURE)
    with pytest.raises(InvalidValueError):
        await record(user.id, "maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a caller without a type checker
    with pytest.raises(InvalidValueError):
        await record(user.id, FAILURE, reason="x" * 129)

    assert await agentdb_uow.user_login_events.count() == 0


async def test_failures_count_from_the_last_success_and_within_the_window(
    agentdb_database: Database, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """Those before either do not, nor do those of others; the window's edge is outside."""
    user, other = agentdb_make.user(), agentdb_make.user()
    past = [
        (FAILURE, 20),
        (SUCCESS, 16),
        (FAILURE, 15),
        (FAILURE, 14),
        (FAILURE, 13),
    ]
    async with agentdb_database.begin_system(reason="test") as uow:
        events = uow.user_login_events
        for result, minutes in past:
            await events.record(user.id, result, now=NOW - timedelta(minutes=minutes))
        await events.record(other.id, FAILURE, now=NOW)
        with agentdb_queries(max=1):
            inside = await events.failures_since_success(user.id, WINDOW, now=NOW)
        wide = await events.failures_since_success(user.id, timedelta(days=1), now=NOW)
        await events.record(user.id, SUCCESS, now=NOW)
        none = await events.failures_since_success(user.id, WINDOW, now=NOW)
        await events.record(user.id, FAILURE, now=NOW)
        again = await events.failures_since_success(user.id, WINDOW, now=NOW)

    assert (inside, wide, none, again) == (2, 3, 0, 1)


async def test_a_tenants_unit_counts_its_own_attempts(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Those at other tenants, successes too, are not its business."""
    user = agentdb_make.user()
    one, two = agentdb_make.tenant_account.many(2)
    async with agentdb_database.begin_system(reason="test") as uow:
        for tenant, result in ((one, FAILURE), (two, FAILURE), (two, SUCCESS)):
            await uow.user_login_events.record(user.id, result, tenant_id=tenant.id, now=NOW)
    counts: list[int] = []
    for tenant in (one, two):
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            count = uow.user_login_events.failures_since_success
            counts.append(await count(user.id, WINDOW, now=NOW))

    assert counts == [1, 0]
