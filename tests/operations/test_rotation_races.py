"""Rotations, log-ins and revocations that meet half-way, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.accounts import account_of
from agentdb.auth.values import UserStatus
from agentdb.operations import issue_session, revoke_session, revoke_sessions_all, rotate
from agentdb.testing import Factory, Pause, StepRunner
from tests.auth.credentials import new_token

pytestmark = pytest.mark.agentdb_commits

Call: TypeAlias = Callable[[UnitOfWork], Awaitable[Any]]


async def meet(database: Database, tenant: UUID, first: Call, second: Call) -> list[Any]:
    """Run *first*, and *second* before the unit of the first has committed; return both results."""
    results: list[Any] = [None, None]

    async def begin(pause: Pause) -> None:
        async with database.begin(tenant=tenant) as uow:
            results[0] = await first(uow)
            await pause()

    async def follow(_: Pause) -> None:
        async with database.begin(tenant=tenant) as uow:
            results[1] = await second(uow)

    async with StepRunner(database, first=begin, second=follow) as runner:
        assert await runner.step("first") == "paused"
        assert await runner.step("second") == "waiting"
        assert await runner.step("first") == "done"
        assert await runner.step("second") == "done"
    return results


async def unrevoked(database: Database, tenant: UUID) -> list[str]:
    """Return the ids of the tokens in use."""
    async with database.read(tenant=tenant) as uow:
        tokens = uow.service_account_tokens
        return [row.refresh_jti for row in await tokens.all(tokens.model.revoked_at.is_(None))]


async def test_a_revocation_of_all_catches_the_successor_of_a_rotation(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Though the statement that waited for the rotation does not see it."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.service_account_tokens.issue("importer", ["a"], new_token("first"))

    (outcome, _), count = await meet(
        agentdb_database,
        tenant,
        lambda uow: rotate(uow, "first", new_token("second")),
        lambda uow: uow.service_account_tokens.revoke_all("importer", "test"),
    )

    assert (outcome, count) == ("rotated", 1)
    assert await unrevoked(agentdb_database, tenant) == []


async def test_an_issue_replaces_the_successor_of_a_rotation(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """No unique key fails."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.service_account_tokens.issue("importer", ["a"], new_token("first"))

    await meet(
        agentdb_database,
        tenant,
        lambda uow: rotate(uow, "first", new_token("second")),
        lambda uow: uow.service_account_tokens.issue("importer", ["a"], new_token("third")),
    )

    assert await unrevoked(agentdb_database, tenant) == ["third"]


@pytest.mark.parametrize("everywhere", [False, True], ids=["here", "everywhere"])
async def test_a_log_out_catches_the_successor_of_a_rotation(
    agentdb_database: Database, agentdb_make: Factory, everywhere: bool
) -> None:
    """A client that refreshes at that moment is logged out."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user(status=UserStatus.ACTIVE).id
    async with agentdb_database.begin(tenant=tenant) as uow:
        session, _ = await issue_session(uow, user, ["chat"], new_token("first"))

    def log_out(uow: UnitOfWork) -> Awaitable[Any]:
        if everywhere:
            return revoke_sessions_all(uow, user)
        return revoke_session(uow, session.id, user)

    (outcome, _), revoked = await meet(
        agentdb_database, tenant, lambda uow: rotate(uow, "first", new_token("second")), log_out
    )

    assert (outcome, revoked) == ("rotated", (1, 1))
    assert await unrevoked(agentdb_database, tenant) == []


async def test_a_rotation_behind_a_log_out_is_refused(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """As ``revoked``: nobody has stolen anything."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user(status=UserStatus.ACTIVE).id
    async with agentdb_database.begin(tenant=tenant) as uow:
        session, _ = await issue_session(uow, user, ["chat"], new_token("first"))

    _, (outcome, token) = await meet(
        agentdb_database,
        tenant,
        lambda uow: revoke_session(uow, session.id, user),
        lambda uow: rotate(uow, "first", new_token("second")),
    )

    assert (outcome, token) == ("revoked", None)
    assert await unrevoked(agentdb_database, tenant) == []


async def test_a_log_out_of_all_catches_a_log_in_that_came_before(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """And the loose tokens of the user."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user(status=UserStatus.ACTIVE).id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.service_account_tokens.issue(account_of(user), ["chat"], new_token("loose"))

    _, revoked = await meet(
        agentdb_database,
        tenant,
        lambda uow: issue_session(uow, user, ["chat"], new_token("first")),
        lambda uow: revoke_sessions_all(uow, user),
    )

    assert revoked == (1, 2)
    assert await unrevoked(agentdb_database, tenant) == []


async def test_a_token_that_expires_while_its_rotation_waits_has_expired(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The clock is read behind the lock, not before it."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user(status=UserStatus.ACTIVE).id
    token = new_token("first", lasts=timedelta(seconds=1))
    async with agentdb_database.begin(tenant=tenant) as uow:
        session, _ = await issue_session(uow, user, ["chat"], token)
    outcomes: list[str] = []

    async def hold(pause: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            await uow.user_sessions.require(session.id, lock=True)
            await pause()
            while await uow.read_clock() <= token.expires_at:  # noqa: ASYNC110 -- a clock's time
                await asyncio.sleep(0.01)

    async def present(_: Pause) -> None:
        async with agentdb_database.begin(tenant=tenant) as uow:
            outcomes.append((await rotate(uow, "first", new_token("second"))).outcome)

    async with StepRunner(agentdb_database, hold=hold, present=present) as runner:
        assert await runner.step("hold") == "paused"
        assert await runner.step("present") == "waiting"
        assert await runner.step("hold") == "done"
        assert await runner.step("present") == "done"
    assert outcomes == ["expired"]
