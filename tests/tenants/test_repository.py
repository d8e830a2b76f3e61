from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.canonical import check_slug
from agentdb.errors import DuplicateError, InvalidValueError, NotFoundError, ReferencedError
from agentdb.models import TenantAccount
from agentdb.tenants.repository.accounts import slugify
from agentdb.testing import Factory, run_concurrently

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_a_slug_belongs_to_one_tenant(agentdb_database: Database) -> None:
    """The second tenant with a slug is refused, and the unit goes on."""
    async with agentdb_database.begin_system(reason="test") as uow:
        first = await uow.tenant_accounts.create("  Acme   Inc ", "acme")
        with pytest.raises(DuplicateError) as caught:
            await uow.tenant_accounts.create("Other", "acme")

        assert caught.value.constraint == "uq_tenant_accounts_slug"
        assert first.name == "Acme Inc"
        assert first is await uow.tenant_accounts.by_slug("acme")


@pytest.mark.parametrize("slug", ["", "Acme", "-a", "a--b", "a b", "a" * 65, "é"])
async def test_what_is_no_slug_is_refused(agentdb_database: Database, slug: str) -> None:
    """Slugs have lower-case letters and digits, joined by single hyphens, 64 at the most."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await uow.tenant_accounts.create("Acme", slug)


@pytest.mark.parametrize("name", ["", " x ", "x" * 129])
async def test_a_name_has_2_to_128_characters(agentdb_database: Database, name: str) -> None:
    """Shorter and longer names are refused."""
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(InvalidValueError):
            await uow.tenant_accounts.create(name, f"t-{uuid4().hex}")


@pytest.mark.agentdb_commits
async def test_eight_tenants_of_one_name_get_slugs_of_their_own(agentdb_database: Database) -> None:
    """Concurrent calls with one name make as many tenants."""

    async def call(_: int) -> str:
        async with agentdb_database.begin_system(reason="test") as uow:
            return (await uow.tenant_accounts.create_with_free_slug("Zoë & Co")).slug

    slugs = await run_concurrently(8, call, database=agentdb_database)

    assert len(set(map(str, slugs))) == 8
    assert "zoe-co" in slugs
    assert all(str(slug).startswith("zoe-co") for slug in slugs)


@pytest.mark.agentdb_commits
async def test_sixty_four_tenants_of_one_name_all_begin(agentdb_database: Database) -> None:
    """More callers than connections: none is turned away, and no slug is given twice."""

    async def call(_: int) -> str:
        async with agentdb_database.begin_system(reason="test") as uow:
            return (await uow.tenant_accounts.create_with_free_slug("Acme")).slug

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert outcomes.errors == []
    assert len(set(outcomes.results)) == 64


@pytest.mark.agentdb_commits
async def test_of_sixty_four_tenants_one_gets_a_slug(agentdb_database: Database) -> None:
    """All others are told that it is taken."""

    async def call(_: int) -> UUID:
        async with agentdb_database.begin_system(reason="test") as uow:
            return (await uow.tenant_accounts.create("Acme", "acme")).id

    outcomes = await run_concurrently(64, call, database=agentdb_database)

    assert [type(error) for error in outcomes.errors] == [DuplicateError] * 63
    async with agentdb_database.read(reason="test") as uow:
        (tenant,) = await uow.tenant_accounts.all()
        assert [tenant.id] == outcomes.results


async def test_a_taken_slug_of_full_length_makes_room_for_the_suffix(
    agentdb_database: Database,
) -> None:
    """The hint is cut where the suffix would not fit."""
    async with agentdb_database.begin_system(reason="test") as uow:
        slugs = [
            (await uow.tenant_accounts.create_with_free_slug("Name", slug_hint="x" * 64)).slug
            for _ in range(2)
        ]

        assert [len(slug) for slug in slugs] == [64, 64]


@given(st.text())
def test_every_text_makes_a_slug(text: str) -> None:
    """Whatever a name holds, its slug is one."""
    assert check_slug(slugify(text)) == slugify(text)


async def test_a_tenant_is_not_deleted_by_its_row(agentdb_database: Database) -> None:
    """Deleting a tenant takes more than its row; the refusal says what."""
    async with agentdb_database.begin_system(reason="test") as uow:
        tenant = await uow.tenant_accounts.create("Acme", "acme")
        with pytest.raises(ReferencedError, match="erase_tenant"):
            await uow.tenant_accounts.delete(tenant.id)


async def test_a_tenant_gets_another_name_and_slug(
    agentdb_uow: UnitOfWork, agentdb_tenant: TenantAccount
) -> None:
    """In its own unit, too; what is not given stays."""
    rename = agentdb_uow.tenant_accounts.rename
    slug = agentdb_tenant.slug
    named = await rename(agentdb_tenant.id, name="  New   Name ")
    assert (named.name, named.slug) == ("New Name", slug)
    moved = await rename(agentdb_tenant.id, slug="new-slug")

    assert (moved.name, moved.slug) == ("New Name", "new-slug")
    assert await rename(agentdb_tenant.id) is moved


async def test_a_tenant_is_not_renamed_to_what_it_cannot_be(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """A taken slug, no name, another tenant; the unit goes on."""
    other = agentdb_make.tenant_account(slug="taken")
    rename = agentdb_uow.tenant_accounts.rename
    with pytest.raises(DuplicateError):
        await rename(agentdb_tenant.id, slug="taken")
    with pytest.raises(InvalidValueError):
        await rename(agentdb_tenant.id, slug="No Slug")
    with pytest.raises(InvalidValueError):
        await rename(agentdb_tenant.id, name="x")
    with pytest.raises(NotFoundError):
        await rename(other.id, name="Mine now")
    assert (await rename(agentdb_tenant.id, name="Ours")).name == "Ours"


@pytest.mark.agentdb_commits
async def test_the_lock_of_a_tenant_is_held_by_one_at_a_time(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Who has it reads what the holder before has left: no number is taken twice."""

    async def call(_: int) -> str:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            tenant = await uow.tenant_accounts.lock(agentdb_tenant.id)
            number = int(tenant.name.rpartition(" ")[2])
            return (await uow.tenant_accounts.rename(tenant.id, name=f"No {number + 1}")).name

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await uow.tenant_accounts.rename(agentdb_tenant.id, name="No 0")
    names = await run_concurrently(8, call, database=agentdb_database)

    assert sorted(map(str, names)) == [f"No {number}" for number in range(1, 9)]


async def test_only_a_tenant_that_exists_is_locked(agentdb_uow: UnitOfWork) -> None:
    """There is nothing to wait for."""
    with pytest.raises(NotFoundError):
        await agentdb_uow.tenant_accounts.lock(uuid4())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, {"cafe", "rate", "under-score"}),
        ("", {"cafe", "rate", "under-score"}),
        ("café", {"cafe"}),
        (" CAFÉ  noir ", {"cafe"}),
        ("CAFE", {"cafe"}),
        ("%", {"rate"}),
        ("_", {"rate"}),
        ("r-s", {"under-score"}),
        ("x" * 300, set[str]()),
    ],
)
async def test_tenants_are_found_by_a_part_of_name_or_slug(
    agentdb_database: Database, agentdb_make: Factory, query: str | None, found: set[str]
) -> None:
    """In any case and beyond ASCII; no character is special."""
    for name, slug in (("CAFÉ Noir", "cafe"), ("100%_ab", "rate"), ("Third", "under-score")):
        agentdb_make.tenant_account(name=name, slug=slug)
    async with agentdb_database.read(reason="test") as uow:
        page = await uow.tenant_accounts.search(query=query)

        assert {tenant.slug for tenant in page} == found


async def test_a_walk_over_tenants_of_one_instant_shows_each_once(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Newest first, then by id."""
    made = agentdb_make.tenant_account.many(5, name="Same name", created_at=NOON)
    async with agentdb_database.read(reason="test") as uow:
        first = await uow.tenant_accounts.search(query="same", limit=3)
        rest = await uow.tenant_accounts.search(query="same", limit=3, after=first.next_cursor)

    assert [t.id for t in [*first, *rest]] == sorted((t.id for t in made), reverse=True)
    assert rest.next_cursor is None


async def test_a_tenant_finds_itself_alone(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Who else there is does not show."""
    agentdb_make.tenant_account()

    assert [tenant.id for tenant in await agentdb_uow.tenant_accounts.search()] == [
        agentdb_tenant.id
    ]
