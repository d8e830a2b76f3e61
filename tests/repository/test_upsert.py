from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.billing.repository import BillingPlanRepository
from agentdb.errors import DuplicateError, InvalidValueError, NotFoundError
from agentdb.models import StorageBucket, TenantAccount
from agentdb.testing import Factory, capture_statements, run_concurrently
from tests.rows import Rows, row_of, rows_of, store, values_of

PLAN: dict[str, Any] = {"code": "a", "name": "A", "price_cents": 100}


async def test_the_first_upsert_makes_the_row_and_the_next_changes_it(system: UnitOfWork) -> None:
    """The row has one key for life; the second call says that it is not new."""
    first, created = await system.billing_plans.upsert(PLAN, ["code"])
    second, again = await system.billing_plans.upsert({**PLAN, "name": "B"}, ["code"])

    assert (created, again) == (True, False)
    assert first is second
    assert (first.name, await system.billing_plans.count()) == ("B", 1)


async def test_only_the_columns_asked_for_are_taken_over(system: UnitOfWork) -> None:
    """``update`` names them; an empty one leaves the row as it is, None means all but the key."""
    row, _ = await system.billing_plans.upsert(PLAN, ["code"])
    other = {"code": "a", "name": "B", "price_cents": 200, "trial_days": 7}

    assert (row, False) == await system.billing_plans.upsert(other, ["code"], update=())
    assert (row.name, row.price_cents, row.trial_days) == ("A", 100, None)
    await system.billing_plans.upsert(other, ["code"], update=["price_cents"])
    assert (row.name, row.price_cents, row.trial_days) == ("A", 200, None)
    await system.billing_plans.upsert(other, ["code"])
    assert (row.name, row.price_cents, row.trial_days) == ("B", 200, 7)


async def test_the_stamp_of_the_last_change_moves(system: UnitOfWork) -> None:
    """``updated_at`` is set by an upsert that changes the row, ``created_at`` stays."""
    row, _ = await system.billing_plans.upsert(PLAN, ["code"])
    created, updated = row.created_at, row.updated_at
    await system.billing_plans.upsert(PLAN, ["code"])

    assert created == row.created_at
    assert updated < row.updated_at


@pytest.mark.parametrize("update", [[], ["filename"]], ids=["kept", "changed"])
async def test_a_row_that_belongs_by_its_parent_is_found(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, update: list[str]
) -> None:
    """A tenant's unit sees the holder of the key, whose owner another table tells."""
    file = agentdb_make.vector_store_file()
    values = {
        "vector_store_id": file.vector_store_id,
        "openai_file_id": file.openai_file_id,
        "filename": "other",
    }
    conflict = ["vector_store_id", "openai_file_id"]
    row, created = await agentdb_uow.vector_store_files.upsert(values, conflict, update=update)

    assert (row.id, created) == (file.id, False)
    assert row.filename == ("other" if update else file.filename)


@pytest.mark.parametrize("conflict", [["code"], "uq_billing_plans_code"])
async def test_a_unique_key_is_named_or_listed(system: UnitOfWork, conflict: Any) -> None:
    """The constraint by its name, or its columns in any order."""
    row, created = await system.billing_plans.upsert(PLAN, conflict)
    again = await system.billing_plans.upsert({**PLAN, "name": "B"}, conflict)

    assert created
    assert (row, False) == again
    assert row.name == "B"


async def test_columns_of_a_key_are_listed_in_any_order(system: UnitOfWork, parents: Rows) -> None:
    """A key of several columns is a set."""
    known = parents["plan_features"]
    values = {"plan_id": known.plan_id, "feature_key": known.feature_key, "hard_limit": 9}
    for conflict in (["plan_id", "feature_key"], ["feature_key", "plan_id"]):
        assert (known, False) == await system.plan_features.upsert(values, conflict)
    assert known.hard_limit == 9


async def test_a_partial_index_is_named(system: UnitOfWork, parents: Rows) -> None:
    """Rows outside the index are no conflict: the sum of a tenant stands beside that of a user."""
    known = parents["usage_counters"]
    values = {
        "tenant_id": known.tenant_id,
        "period_start": known.period_start,
        "granularity": known.granularity,
        "requests": 5,
    }
    index = "uq_usage_counters_tenant_period_null_user"
    total, created = await system.usage_counters.upsert(values, index)
    again = await system.usage_counters.upsert({**values, "requests": 6}, index)

    assert created
    assert total is not known
    assert (total, False) == again
    assert (total.user_id, total.requests) == (None, 6)


async def test_a_primary_key_is_a_unique_key(system: UnitOfWork) -> None:
    """A row can be put under the key that the caller chose."""
    key = uuid4()
    row, created = await system.billing_plans.upsert({**PLAN, "id": key}, ["id"])

    assert (True, key) == (created, row.id)
    again = await system.billing_plans.upsert({**PLAN, "id": key, "name": "B"}, "pk_billing_plans")
    assert (row, False) == again


@pytest.mark.parametrize("conflict", [["name"], "no_such_constraint", [], ["code", "name"]])
async def test_what_is_no_unique_key_is_refused(
    agentdb_database: Database, system: UnitOfWork, conflict: Any
) -> None:
    """Before SQL, on both databases."""
    with capture_statements(agentdb_database) as sent, pytest.raises(InvalidValueError):
        await system.billing_plans.upsert(PLAN, conflict)

    assert sent == []


async def test_unknown_columns_are_refused(system: UnitOfWork) -> None:
    """In the values and among those to take over."""
    with pytest.raises(InvalidValueError, match="no_such"):
        await system.billing_plans.upsert({**PLAN, "no_such": 1}, ["code"])
    with pytest.raises(InvalidValueError, match="no_such"):
        await system.billing_plans.upsert(PLAN, ["code"], update=["no_such"])


async def test_another_unique_key_that_is_taken_raises(system: UnitOfWork, parents: Rows) -> None:
    """Only the key named is resolved; the unit goes on afterwards."""
    known = parents["containers"]
    values = {**values_of("containers", "new", parents), "openai_id": known.openai_id}
    with pytest.raises(DuplicateError) as caught:
        await system.containers.upsert(values, "uq_containers_live_name")

    assert caught.value.constraint == "uq_containers_openai_id"
    values["openai_id"] = "free"
    assert (await system.containers.upsert(values, "uq_containers_live_name"))[1]


async def test_a_parent_that_does_not_exist_is_not_found(system: UnitOfWork) -> None:
    """The error is the one of add."""
    with pytest.raises(NotFoundError):
        await system.plan_features.upsert(
            {"plan_id": uuid4(), "feature_key": "f"}, ["plan_id", "feature_key"]
        )
    assert await system.plan_features.count() == 0


async def test_the_row_of_another_tenant_is_not_taken_over(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A globally unique key that is taken elsewhere is a duplicate, and the row stays."""
    alpha = rows_of("alpha")
    async with agentdb_database.begin_system(reason="test") as unit:
        await unit.session.run_sync(store, alpha.values())
    theirs = alpha["containers"]
    own = {**values_of("containers", "own", alpha), "openai_id": theirs.openai_id}
    del own["tenant_id"], own["owner_user_id"], own["id"]
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
        for update in (None, (), ["name"]):
            with pytest.raises(DuplicateError) as caught:
                await unit.containers.upsert(own, ["openai_id"], update=update)
            assert caught.value.constraint == "uq_containers_openai_id"
        assert not await unit.containers.exists()
    async with agentdb_database.begin_system(reason="test") as unit:
        row = await unit.containers.require(theirs.id)
        assert (theirs.name, theirs.tenant_id) == (row.name, row.tenant_id)


async def test_the_tenant_of_the_unit_is_filled_in(
    agentdb_uow: UnitOfWork, agentdb_tenant: TenantAccount
) -> None:
    """A tenant's unit need not name it, neither to make the row nor to find it."""
    values = {"bucket_name": "b", "provider": "s3", "region": "eu"}
    conflict = ["tenant_id", "bucket_name"]
    row, created = await agentdb_uow.storage_buckets.upsert(values, conflict)

    assert (True, agentdb_tenant.id) == (created, row.tenant_id)
    assert (row, False) == await agentdb_uow.storage_buckets.upsert(values, conflict)


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("update", [None, ()])
async def test_eight_concurrent_upserts_make_one_row(
    agentdb_database: Database, agentdb_tenant: TenantAccount, update: Any
) -> None:
    """All succeed, all return the same row, and one of them made it."""

    async def call(number: int) -> tuple[UUID, bool]:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
            values = {"bucket_name": "b", "provider": "s3", "region": f"region-{number}"}
            conflict = "uq_storage_buckets_tenant_id_bucket_name"
            row, created = await unit.storage_buckets.upsert(values, conflict, update=update)
            return row.id, created

    results = await run_concurrently(8, call, database=agentdb_database)

    made = [result for result in results if isinstance(result, tuple)]
    assert len(made) == 8
    assert (len({key for key, _ in made}), sum(created for _, created in made)) == (1, 1)
    async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
        (bucket,) = await unit.storage_buckets.all()
        assert isinstance(bucket, StorageBucket)


async def test_a_row_that_the_unit_has_added_is_found(system: UnitOfWork, parents: Rows) -> None:
    """Rows added before in the same unit are met like all others."""
    row = await system.vector_stores.add(row_of("vector_stores", "v", parents))
    values = {"tenant_id": row.tenant_id, "name": row.name, "openai_id": "new"}

    assert (row, False) == await system.vector_stores.upsert(values, ["tenant_id", "name"])
    assert row.openai_id == "new"


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_key_whose_holder_is_deleted_meanwhile_is_free(
    agentdb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is there when it is met and gone when it is looked up: it is made anew."""
    async with agentdb_database.begin_system(reason="test") as uow:
        old, _ = await uow.billing_plans.upsert(PLAN, ["code"])
    look = BillingPlanRepository._holder  # pyright: ignore[reportPrivateUsage] -- between the two

    async def delete_first(self: BillingPlanRepository, *arguments: Any) -> Any:
        monkeypatch.undo()
        async with agentdb_database.begin_system(reason="test") as other:
            await other.billing_plans.delete(old.id)
        return await look(self, *arguments)

    monkeypatch.setattr(BillingPlanRepository, "_holder", delete_first)
    async with agentdb_database.begin_system(reason="test") as uow:
        new, created = await uow.billing_plans.upsert(PLAN, ["code"], update=())

    assert created
    assert new.id != old.id
