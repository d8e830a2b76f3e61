"""Whose data a unit of work may touch, on our sessions and on a host's."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from agentdb import configure
from agentdb.database import Database
from agentdb.errors import (
    ConfigurationError,
    InvalidValueError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.models import TenantAccount
from agentdb.tenancy import Scope
from agentdb.unit_of_work import UnitOfWork
from tests.tenancy.worlds import World, unit_of

session_loop = pytest.mark.asyncio(loop_scope="session")

ONE, OTHER = UUID(int=1), UUID(int=2)


def test_a_scope_is_of_a_tenant_or_of_the_system() -> None:
    """A unit that was both would reach across tenants by mistake."""
    with pytest.raises(PermissionDeniedError):
        Scope(tenant=ONE, reason="both")

    assert not Scope(tenant=ONE).is_system
    assert Scope(reason="a purge").is_system
    assert not Scope().is_system


@pytest.mark.parametrize("tenant", [str(ONE), ONE.hex, 1, b"tenant"])
def test_a_tenant_is_given_by_its_uuid(tenant: Any) -> None:
    """Text would match nothing on one database and everything on none."""
    with pytest.raises(InvalidValueError, match="a tenant is given by its UUID"):
        Scope(tenant=tenant)


@pytest.mark.parametrize("reason", ["", " ", "\n\t"])
def test_a_reason_says_something(reason: str) -> None:
    """Who reaches across tenants says why."""
    with pytest.raises(InvalidValueError, match="a system unit needs a reason"):
        Scope(reason=reason)


@pytest.mark.parametrize(
    ("scope", "given", "expected"),
    [
        (Scope(tenant=ONE), None, ONE),
        (Scope(tenant=ONE), ONE, ONE),
        (Scope(tenant=ONE), OTHER, TenantMismatchError),
        (Scope(reason="a test"), OTHER, OTHER),
        (Scope(reason="a test"), None, None),
        (Scope(), None, TenantRequiredError),
        (Scope(), ONE, TenantRequiredError),
    ],
)
def test_a_verb_reads_for_the_tenant_of_its_unit(scope: Scope, given: UUID, expected: Any) -> None:
    """An argument may repeat the tenant; in a system unit it names one, or all by leaving it out.

    A verb that writes needs one in any case.
    """
    if isinstance(expected, type):
        with pytest.raises(expected):
            scope.filter(given)
        with pytest.raises(expected):
            scope.owner(given)
    elif expected is None:
        assert scope.filter(given) is None
        with pytest.raises(TenantRequiredError):
            scope.owner(given)
    else:
        assert expected == scope.filter(given)
        assert expected == scope.owner(given)


@session_loop
async def test_the_engine_of_a_host_is_configured_first(tmp_path: Path) -> None:
    """On an engine that does not keep the promises no unit of work begins."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'host.db'}")
    async with AsyncSession(engine) as session:
        with pytest.raises(ConfigurationError, match=r"agentdb\.configure"):
            UnitOfWork(session, tenant=ONE)
        configure(engine)

        assert UnitOfWork(session, tenant=ONE).tenant == ONE
    await engine.dispose()


@session_loop
async def test_a_session_serves_one_tenant(database: Database) -> None:
    """What one unit has loaded would be found by the next: each tenant has its own session."""
    async with AsyncSession(database.engine) as session:
        UnitOfWork(session, tenant=ONE)
        scopes: list[dict[str, Any]] = [{"tenant": OTHER}, {"system": "a test"}, {}]
        for scope in scopes:
            with pytest.raises(TenantMismatchError):
                UnitOfWork(session, **scope)

        assert UnitOfWork(session, tenant=ONE).tenant == ONE


@session_loop
async def test_a_system_session_stays_one_for_any_reason(database: Database) -> None:
    """Several units may join it, each with its own reason, but none of a tenant."""
    async with AsyncSession(database.engine) as session:
        UnitOfWork(session, system="one reason")
        with pytest.raises(TenantMismatchError):
            UnitOfWork(session, tenant=ONE)

        assert UnitOfWork(session, system="another").scope.reason == "another"


@session_loop
async def test_the_statements_of_the_host_are_confined_too(
    world: World, database: Database
) -> None:
    """Once a unit has joined a session, the session itself is the tenant's."""
    async with AsyncSession(database.engine) as session:
        before = (await session.scalars(select(TenantAccount.slug))).all()
        UnitOfWork(session, tenant=world.beta["tenant_accounts"].id)
        after = (await session.scalars(select(TenantAccount.slug))).all()

    assert {"alpha-slug", "beta-slug"} == set(before)
    assert after == ["beta-slug"]


@session_loop
async def test_other_sessions_of_the_host_stay_free(world: World, database: Database) -> None:
    """A unit confines its own session, not the engine."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id):
        pass
    async with AsyncSession(database.engine) as session:
        found = (await session.scalars(select(TenantAccount.slug))).all()

    assert len(found) == 2


@session_loop
async def test_a_tenant_that_does_not_exist_owns_nothing(database: Database) -> None:
    """The filter needs no row of the tenant: an unknown one sees empty tables."""
    async with unit_of(database, tenant=OTHER) as unit:
        assert await unit.tenant_accounts.all() == []
        assert await unit.users.count() == 0


@session_loop
async def test_the_reason_of_a_system_unit_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reaches across tenants leaves a trace, however the unit begins; a refused one none."""

    async def nothing(_: object) -> None:
        """Do no work."""

    with caplog.at_level(logging.INFO, logger="agentdb"):
        async with database.begin_system(reason="purge"):
            pass
        async with database.read(reason="report"):
            pass
        await database.run(nothing, reason="repair")
        with pytest.raises(InvalidValueError):
            await database.run(nothing, reason=" ")

    logged = [
        record.getMessage().removeprefix("system unit of work: ") for record in caplog.records
    ]
    assert logged == ["purge", "report", "repair"]


@session_loop
async def test_a_system_unit_without_a_reason_does_not_begin(database: Database) -> None:
    """A blank reason is none."""
    for reason in ("", "  "):
        with pytest.raises(InvalidValueError):
            async with database.begin_system(reason=reason):
                pass
