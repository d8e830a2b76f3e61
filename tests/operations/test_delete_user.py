from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import String, Text, cast, func, select

from agentdb import Database, UnitOfWork
from agentdb.errors import LastOwnerError, NotFoundError, PermissionDeniedError
from agentdb.models import TenantAccount, UsageCounter
from agentdb.operations import DELETED_USER, DeletedUser, delete_user
from agentdb.orm import Base
from agentdb.testing import Factory, run_concurrently
from agentdb.testing.samples import sample_rows
from agentdb.testing.samples import store as store_rows
from agentdb.types import Uuid

DAY = date(2026, 3, 1)
TEXTS = {
    ("workflow_runs", "user_id"),
    ("workflow_runs", "deleted_by"),
    ("workflow_run_steps", "deleted_by"),
    ("status_subscriptions", "created_by"),
}
"""Columns that hold the id of a user as text."""
UNTIED = {("activity_events", "actor_id")}
"""Columns that hold it as a UUID, without a foreign key."""


def about(label: str, user_id: UUID) -> dict[str, Any]:
    """Return a row of every table about one user, each column that can naming the user."""
    rows = sample_rows(label)
    account = f"user:{rows['users'].id}"
    assert rows["users"].id == user_id
    for table, column in TEXTS:
        setattr(rows[table], column, str(user_id))
    for table, column in UNTIED:
        setattr(rows[table], column, user_id)
    rows["service_account_tokens"].account = account
    return rows


async def stored(uow: UnitOfWork, label: str) -> UUID:
    """Store a user with a row in every table, and return the id."""
    user_id: UUID = sample_rows(label)["users"].id
    rows = about(label, user_id)
    await uow.session.run_sync(lambda session: store_rows(session, list(rows.values())))
    return user_id


def columns() -> Iterator[Any]:
    """Yield every column of every table that can hold a UUID or text."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Uuid) or issubclass(column.type.python_type, str):
                yield column


async def mentions(uow: UnitOfWork, user_id: UUID) -> set[tuple[str, str]]:
    """Return the columns in which an id stands: as a UUID, as text, or within a text."""
    found: set[tuple[str, str]] = set()
    for column in columns():
        if isinstance(column.type, Uuid):
            holds = column == user_id
        elif issubclass(column.type.python_type, str) and isinstance(
            getattr(column.type, "impl_instance", column.type), (String, Text)
        ):
            holds = func.lower(cast(column, Text)).contains(str(user_id))
        else:
            continue  # an enumeration
        query = select(func.count()).select_from(column.table).where(holds)
        if (await uow.execute(query)).scalar_one():
            found.add((column.table.name, column.name))
    return found


def references() -> set[tuple[str, str]]:
    """Return the foreign keys to users."""
    return {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name == "users"
    }


async def test_no_column_holds_the_id_of_a_deleted_user(agentdb_database: Database) -> None:
    """Of a user with rows in all 46 tables; those of another user are as they were."""
    async with agentdb_database.begin_system(reason="test") as uow:
        kept, user_id = await stored(uow, "beta"), await stored(uow, "alpha")
        account = ("service_account_tokens", "account")
        everywhere = references() | TEXTS | UNTIED | {("users", "id"), account}
        assert await mentions(uow, user_id) == everywhere
        await delete_user(uow, user_id, force=True)

        assert await mentions(uow, user_id) == set()
        assert await mentions(uow, kept) == everywhere


async def test_what_a_user_has_made_outlives_the_user(agentdb_database: Database) -> None:
    """Rows of the person go, the others stay without the id; the counts tell which went."""
    rows = sample_rows("alpha")
    async with agentdb_database.begin_system(reason="test") as uow:
        user_id = await stored(uow, "alpha")
        before = await _counts(uow)
        gone = await delete_user(uow, user_id, force=True)
        after = await _counts(uow)
        run = await uow.workflow_runs.require(rows["workflow_runs"].id, include_deleted=True)
        event = await uow.security_events.require(rows["security_events"].id)

        changed = {name: before[name] - left for name, left in after.items() if left < before[name]}
        assert gone == DeletedUser(changed)
        assert sorted(changed) == [
            "activity_event_receipts",
            "activity_last_seen",
            "password_history",
            "service_account_tokens",
            "tenant_user_memberships",
            "user_consents",
            "user_login_events",
            "user_mfa_methods",
            "user_notification_preferences",
            "user_profiles",
            "user_recovery_codes",
            "user_sessions",
            "users",
        ]
        assert (run.user_id, run.deleted_by) == (DELETED_USER, DELETED_USER)
        assert event.user_id is None


async def _counts(uow: UnitOfWork) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        query = select(func.count()).select_from(table)
        counts[table.name] = (await uow.execute(query)).scalar_one()
    return counts


async def test_counters_beside_those_of_nobody_are_added_to_them(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """A user's row of the same period would take the key of nobody's otherwise; no sum changes."""
    user = agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        counters, tenant = uow.usage_counters, agentdb_tenant.id
        for owner in (user.id, None):
            await counters.increment(owner, DAY, requests=2, tenant_id=tenant)
        await counters.increment(user.id, DAY + timedelta(days=1), requests=3, tenant_id=tenant)
        await delete_user(uow, user.id)
        rows = await counters.all(order=[UsageCounter.period_start])

        assert [(row.user_id, row.requests) for row in rows] == [(None, 4), (None, 3)]


async def test_a_sole_owner_is_deleted_by_force_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Refused, all is as it was and the unit goes on; forced, the tenant has no owner."""
    owner = agentdb_make.tenant_user_membership(role="owner")
    disabled = agentdb_make.user(tenant=None, status="disabled")
    agentdb_make.tenant_user_membership(user=disabled, role="owner")
    async with agentdb_database.begin_system(reason="test") as uow:
        before = await _counts(uow)
        with pytest.raises(LastOwnerError):
            await delete_user(uow, owner.user_id)
        assert await _counts(uow) == before
        await delete_user(uow, disabled.id)
        gone = await delete_user(uow, owner.user_id, force=True)

        assert gone.counts == {"users": 1, "tenant_user_memberships": 1}
        assert await uow.users.get(owner.user_id) is None
        with pytest.raises(NotFoundError):
            await delete_user(uow, owner.user_id)


async def test_who_is_loaded_is_forgotten(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The unit does not answer with a row that is gone, and what was not flushed goes too."""
    user = agentdb_make.user()
    async with agentdb_database.begin_system(reason="test") as uow:
        loaded = await uow.users.require(user.id)
        loaded.password_hash = "changed"
        await delete_user(uow, user.id)

        assert await uow.users.get(user.id) is None
        assert loaded not in uow.session


async def test_nobody_is_not_found(agentdb_database: Database, agentdb_uow: UnitOfWork) -> None:
    """And a tenant's unit deletes nobody, as other tenants may have the user too."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(NotFoundError):
            await delete_user(uow, uuid4())
    with pytest.raises(PermissionDeniedError):
        await delete_user(agentdb_uow, uuid4())


@pytest.mark.agentdb_commits
async def test_one_of_eight_deletes(agentdb_database: Database, agentdb_make: Factory) -> None:
    """The others find nobody."""
    user = agentdb_make.user()

    async def call(_: int) -> DeletedUser:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await delete_user(uow, user.id)

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {NotFoundError}


@pytest.mark.agentdb_commits
async def test_what_is_counted_while_a_user_goes_is_kept_or_refused(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """An increment comes before the deletion, and is in the sums, or finds no such user."""
    user = agentdb_make.user()

    async def call(number: int) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            if number == 3:
                await delete_user(uow, user.id)
            else:
                start = DAY + timedelta(days=number % 3)
                await uow.usage_counters.increment(
                    user.id, start, requests=1, tenant_id=agentdb_tenant.id
                )

    outcomes = await run_concurrently(16, call, database=agentdb_database)

    assert outcomes[3] is None
    assert {type(error) for error in outcomes.errors} <= {NotFoundError}
    async with agentdb_database.begin_system(reason="test") as uow:
        rows = await uow.usage_counters.all()
        assert {row.user_id for row in rows} <= {None}
        assert sum(row.requests for row in rows) == len(outcomes.results) - 1
