from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    StaleVersionError,
    TenantMismatchError,
)
from agentdb.models import TenantAccount, TenantSettings
from agentdb.tenants.rows import BillingContact
from agentdb.testing import Factory, Queries, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ADA: BillingContact = {"name": " Ada   L. ", "email": "ADA@Example.com", "role": "cfo"}
FLAG = st.sampled_from(["beta", "dark", "feature.sso", "feature.api"])


async def test_a_tenant_without_settings_has_empty_ones_of_version_0(
    agentdb_uow: UnitOfWork,
) -> None:
    """They are not stored, and not by the end of the unit either."""
    found = await agentdb_uow.tenant_settings.get_or_default()

    assert (found.tenant_id, found.version) == (agentdb_uow.tenant, 0)
    assert (found.flags_json, found.billing_contacts_json, found.billing_webhook_url) == (
        {},
        [],
        None,
    )
    await agentdb_uow.session.flush()
    assert await agentdb_uow.tenant_settings.count() == 0


async def test_a_write_sets_what_is_given_and_counts_the_version_up(
    agentdb_uow: UnitOfWork,
) -> None:
    """The first one makes the row; what is not given stays, and None clears."""
    repository = agentdb_uow.tenant_settings
    made = await repository.put(
        billing_webhook_url="https://example.com/hook", plan_metadata={"seats": 3}, now=NOON
    )
    assert (made.version, made.created_at, made.updated_at) == (1, NOON, NOON)
    changed = await repository.put(billing_webhook_url=None)

    assert changed is made
    assert (changed.version, changed.billing_webhook_url) == (2, None)
    assert changed.plan_metadata_json == {"seats": 3}
    assert changed.updated_at > NOON
    assert await repository.get_or_default() is made


async def test_contacts_are_stored_in_their_canonical_form(agentdb_uow: UnitOfWork) -> None:
    """They replace the ones before; everybody is notified who does not say no."""
    repository = agentdb_uow.tenant_settings
    await repository.put(billing_contacts=[{"name": "Bob", "email": "bob@example.com"}])
    row = await repository.put(
        billing_contacts=[ADA, {"name": "Z", "email": "z@example.com", "notify": False}]
    )

    assert row.billing_contacts_json == [
        {"name": "Ada L.", "email": "ada@example.com", "role": "cfo", "notify": True},
        {"name": "Z", "email": "z@example.com", "notify": False},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"billing_contacts": [ADA] * 11},
        {"billing_contacts": [{"name": "Ada"}]},
        {"billing_contacts": [{"email": "ada@example.com"}]},
        {"billing_contacts": [{**ADA, "email": "ada"}]},
        {"billing_contacts": [{**ADA, "name": " "}]},
        {"billing_contacts": [{**ADA, "name": "x" * 129}]},
        {"billing_contacts": [{**ADA, "phone": 7}]},
        {"billing_contacts": [{**ADA, "notify": "yes"}]},
        {"billing_contacts": [{**ADA, "fax": "7"}]},
        {"billing_contacts": ["ada@example.com"]},
        {"billing_webhook_url": "ftp://example.com"},
        {"billing_webhook_url": "https://"},
        {"billing_webhook_url": "https://[::1"},
        {"billing_webhook_url": f"https://example.com/{'x' * 512}"},
        {"plan_metadata": {"x": float("nan")}},
        {"flags": {"beta": 1}},
        {"flags": {"beta": None}},
        {"flags": {"": True}},
        {"flags": {"a\0b": True}},
    ],
)
async def test_what_is_refused_leaves_the_settings_as_they_were(
    agentdb_uow: UnitOfWork, fields: dict[str, Any]
) -> None:
    """Whether there are any yet or not; the unit goes on."""
    repository = agentdb_uow.tenant_settings
    with pytest.raises(InvalidValueError):
        await repository.put(**fields)
    assert await repository.count() == 0
    row = await repository.put(flags={"beta": True})
    with pytest.raises(InvalidValueError):
        await repository.put(**fields)

    assert (row.version, row.flags_json) == (1, {"beta": True})
    assert (await repository.patch_flags({})).version == 2


async def test_a_writer_who_expects_another_version_is_refused(agentdb_uow: UnitOfWork) -> None:
    """0 stands for no row; the refused write changes nothing."""
    repository = agentdb_uow.tenant_settings
    with pytest.raises(StaleVersionError):
        await repository.put(flags={"a": True}, expected_version=1)
    await repository.put(flags={"a": True}, expected_version=0)
    for expected in (0, 2):
        with pytest.raises(StaleVersionError):
            await repository.patch_flags({"b": True}, expected_version=expected)
    row = await repository.patch_flags({"b": True}, expected_version=1)

    assert (row.version, row.flags_json) == (2, {"a": True, "b": True})


async def test_entitlements_survive_and_are_not_set_by_chance(agentdb_uow: UnitOfWork) -> None:
    """Neither `put` nor `patch_flags` touches them unless they are asked for."""
    repository = agentdb_uow.tenant_settings
    await repository.patch_flags({"feature.sso": True, "beta": True}, entitlements=True)
    with pytest.raises(PermissionDeniedError):
        await repository.put(flags={"feature.sso": False})
    for value in (False, None):
        with pytest.raises(PermissionDeniedError):
            await repository.patch_flags({"feature.sso": value})
    row = await repository.put(flags={"dark": True})

    assert row.flags_json == {"feature.sso": True, "dark": True}
    row = await repository.patch_flags({"feature.sso": None, "none": None}, entitlements=True)
    assert row.flags_json == {"dark": True}


async def test_another_tenant_is_not_written_for(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """In a tenant's unit the tenant is that of the unit."""
    other = agentdb_make.tenant_account().id
    repository = agentdb_uow.tenant_settings
    for verb in (repository.get_or_default, repository.put):
        with pytest.raises(TenantMismatchError):
            await verb(tenant_id=other)
    with pytest.raises(TenantMismatchError):
        await repository.patch_flags({"a": True}, tenant_id=other)


async def test_a_system_unit_writes_for_tenants_that_exist(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each has settings of its own."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(NotFoundError):
            await uow.tenant_settings.put(tenant_id=uuid4())
        row = await uow.tenant_settings.put(flags={"a": True}, tenant_id=agentdb_tenant.id)

        assert row.tenant_id == agentdb_tenant.id


async def test_a_write_takes_few_statements(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries
) -> None:
    """A lock and a write; on SQLite, where nobody else writes, one look more for a first row."""
    repository = agentdb_uow.tenant_settings
    with agentdb_queries(max=3):
        await repository.put(flags={"a": True})
    with agentdb_queries(max=2):
        await repository.patch_flags({"b": True})


@pytest.mark.agentdb_commits
async def test_eight_patches_of_an_absent_row_are_all_kept(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """One row with all eight flags and version 8; each caller has seen a version of its own."""

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return (await uow.tenant_settings.patch_flags({f"f{number}": True})).version

    versions = await run_concurrently(8, call, database=agentdb_database)

    assert versions.errors == []
    assert sorted(versions.results) == list(range(1, 9))
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (row,) = await uow.tenant_settings.all()
        assert row.version == 8
        assert row.flags_json == {f"f{number}": True for number in range(8)}


@pytest.mark.agentdb_commits
async def test_of_eight_writers_who_expect_no_row_one_succeeds(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The others are told that they have read an old version."""

    async def call(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await uow.tenant_settings.put(plan_metadata={"by": number}, expected_version=0)
        return number

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert [type(error) for error in outcomes.errors] == [StaleVersionError] * 7
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        row: TenantSettings = await uow.tenant_settings.one()
        assert (row.version, row.plan_metadata_json) == (1, {"by": outcomes.results[0]})


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    writes=st.lists(
        st.tuples(st.booleans(), st.dictionaries(FLAG, st.sampled_from([True, False, None]))),
        max_size=5,
    )
)
async def test_flags_are_what_the_writes_make_of_them(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    writes: list[tuple[bool, dict[str, bool | None]]],
) -> None:
    """A patch merges, a replacement keeps entitlements, and each write is a version."""
    expected: dict[str, bool] = {}
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        start = (await uow.tenant_settings.put(flags={})).version
        await uow.tenant_settings.patch_flags(
            {"feature.sso": None, "feature.api": None}, entitlements=True
        )
        for replaces, flags in writes:
            if replaces:
                plain = {k: v for k, v in flags.items() if v is not None and k in {"beta", "dark"}}
                await uow.tenant_settings.put(flags=plain)
                expected = {k: v for k, v in expected.items() if k.startswith("feature.")} | plain
            else:
                await uow.tenant_settings.patch_flags(flags, entitlements=True)
                merged = {**expected, **flags}
                expected = {k: v for k, v in merged.items() if v is not None}
        row = await uow.tenant_settings.get_or_default()

        assert row.flags_json == expected
        assert row.version == start + 1 + len(writes)
