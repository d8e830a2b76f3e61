from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb import Database
from agentdb.canonical import check_slug
from agentdb.errors import DuplicateError, InvalidValueError, ReferencedError
from agentdb.tenants.repository.accounts import slugify
from agentdb.testing import run_concurrently


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
