"""Units that look single rows up, without a transaction on PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Connection, PoolProxiedConnection, Select, make_url, select, update
from sqlalchemy.util import greenlet_spawn

from agentdb import Database, Settings, UnitOfWork, lookups
from agentdb.errors import InvalidValueError, PermissionDeniedError, UnavailableError
from agentdb.models import TenantAccount, User
from agentdb.testing import Factory, FaultProxy, RoleUrls
from tests.trips import trips_through

postgres = pytest.mark.agentdb_only("postgres")
commits = pytest.mark.agentdb_commits

ONE = Settings(pool_size=1, max_overflow=0)

Act = Callable[[UnitOfWork, TenantAccount], Awaitable[object]]

REFUSED: dict[str, Act] = {
    "a page": lambda uow, _: uow.tenant_accounts.all(),
    "a lock": lambda uow, tenant: uow.tenant_accounts.get(tenant.id, lock=True),
    "a row": lambda uow, _: uow.tenant_accounts.create("Other", "other"),
    "a hot write": lambda uow, tenant: uow.usage_counters.increment(
        None, date(2026, 1, 1), requests=1, tenant_id=tenant.id
    ),
    "a claim": lambda uow, _: uow.conversation_run_queue_items.claim(),
    "relations": lambda uow, _: uow.users.by_email("ada@example.com", with_profile=True),
}


async def test_a_look_up_finds_the_row_or_none(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """As in any unit of the system: one entity for one row, in each of its snapshots."""
    user, token = agentdb_make.user(), agentdb_make.service_account_token()

    async with agentdb_database.lookup(reason="test") as uow:
        found = await uow.users.by_email(user.email.upper())
        assert found is not None
        assert (found.id, found.created_at) == (user.id, user.created_at)
        assert await uow.users.by_email(user.email) is found
        assert await uow.users.by_email("nobody@example.com") is None
        known = await uow.service_account_tokens.by_refresh_jti(token.refresh_jti)
        assert known is not None
        assert known.scopes == token.scopes


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_look_up_is_refused_and_changes_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, what: str
) -> None:
    """The unit goes on to look things up."""
    async with agentdb_database.lookup(reason="test") as uow:
        with pytest.raises(PermissionDeniedError, match="finds single rows"):
            await REFUSED[what](uow, agentdb_tenant)
        found = await uow.tenant_accounts.by_slug(agentdb_tenant.slug)
        assert found is not None

    async with agentdb_database.begin_system(reason="test") as uow:
        assert await uow.tenant_accounts.by_slug("other") is None


@pytest.mark.parametrize("part", ["a lock", "a write"])
async def test_a_select_that_locks_or_writes_in_a_part_of_it_is_refused(
    agentdb_database: Database, agentdb_tenant: TenantAccount, part: str
) -> None:
    """Without a transaction the lock would hold nothing, and the write would stay."""
    async with agentdb_database.lookup(reason="test") as uow:
        with pytest.raises(PermissionDeniedError, match="finds single rows"):
            await uow.send((_acting(part), {}))

    async with agentdb_database.read(reason="test") as uow:
        stored = await uow.tenant_accounts.by_slug(agentdb_tenant.slug)
        assert stored is not None
        assert stored.name == agentdb_tenant.name


async def test_what_was_found_is_not_stored_again(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A change of the host stays in its memory."""
    user = agentdb_make.user()
    async with agentdb_database.lookup(reason="test") as uow:
        found = await uow.users.by_email(user.email)
        assert found is not None
        found.password_hash = "changed"

    async with agentdb_database.read(reason="test") as uow:
        stored = await uow.users.get(user.id)
        assert stored is not None
        assert stored.password_hash == user.password_hash


async def test_a_look_up_needs_a_reason(agentdb_database: Database) -> None:
    """It reaches across tenants."""
    with pytest.raises(InvalidValueError):
        async with agentdb_database.lookup(reason=" "):
            pass


@postgres
@commits
async def test_a_look_up_is_one_round_trip(agentdb_url: str, agentdb_make: Factory) -> None:
    """Without BEGIN and COMMIT; what follows on the connection has a transaction again."""
    user = agentdb_make.user()
    with FaultProxy(agentdb_url) as proxy, trips_through(proxy) as trips:
        async with Database(proxy.url, settings=ONE) as database:
            await _find(database, user)
            before = trips.count
            await _find(database, user)
            assert trips.count == before + 1

            with suppress(ZeroDivisionError):
                async with database.begin_system(reason="test") as uow:
                    await uow.tenant_accounts.create("Other", "other")
                    raise ZeroDivisionError
            async with database.lookup(reason="test") as uow:
                assert await uow.tenant_accounts.by_slug("other") is None


@postgres
@commits
async def test_a_look_up_on_a_lost_connection_is_tried_again(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """Once: it has changed nothing."""
    user = agentdb_make.user()
    with FaultProxy(agentdb_url) as proxy:
        async with (
            Database(proxy.url, settings=ONE) as database,
            database.lookup(reason="test") as uow,
        ):
            assert await uow.users.by_email(user.email) is not None
            proxy.reset()
            assert await uow.users.by_email(user.email) is not None


@postgres
@commits
async def test_a_look_up_that_finds_the_pool_full_says_so(
    agentdb_url: str, agentdb_make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another unit may have taken the place of the connection that was lost."""
    user, taken = agentdb_make.user(), list[PoolProxiedConnection]()
    reconnect = getattr(lookups, "_reconnect")  # noqa: B009 -- private

    def late(connection: Connection) -> None:
        taken.append(connection.engine.raw_connection())
        reconnect(connection)

    monkeypatch.setattr(lookups, "_reconnect", late)
    with FaultProxy(agentdb_url) as proxy:
        async with Database(proxy.url, settings=replace(ONE, pool_timeout=0.05)) as database:
            async with database.lookup(reason="test") as uow:
                await uow.users.by_email(user.email)
                proxy.reset()
                with pytest.raises(UnavailableError, match="no connection became free"):
                    await uow.users.by_email(user.email)
            await greenlet_spawn(taken[0].close)


@postgres
@commits
async def test_who_found_nothing_still_has_no_transaction(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """What follows is one round trip, and is tried again on a lost connection."""
    user = agentdb_make.user()
    with FaultProxy(agentdb_url) as proxy, trips_through(proxy) as trips:
        async with (
            Database(proxy.url, settings=ONE) as database,
            database.lookup(reason="test") as uow,
        ):
            assert await uow.users.by_email("nobody@example.com") is None
            before = trips.count
            assert await uow.users.by_email(user.email) is not None
            assert trips.count == before + 1
            proxy.reset()
            assert await uow.users.by_email(user.email) is not None


@postgres
@commits
async def test_stamps_are_read_whatever_the_style_of_dates(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """A session in which the driver could not read them gets a transaction that sets the style."""
    user = agentdb_make.user()
    url = make_url(agentdb_url).update_query_dict({"options": "-c DateStyle=German"})
    async with Database(url, settings=ONE) as database, database.lookup(reason="test") as uow:
        found = await uow.users.by_email(user.email)
        assert found is not None
        assert found.created_at == user.created_at


@postgres
@commits
async def test_a_look_up_that_policies_blind_is_refused(agentdb_role_urls: RoleUrls) -> None:
    """Not taken for a row that is not there; the platform role finds what there is."""
    urls = agentdb_role_urls
    async with Database(urls.app, platform_url=urls.platform) as database:
        async with database.begin_system(reason="test") as uow:
            await uow.tenant_accounts.create(slug="alpha", name="Alpha")
        async with database.lookup(reason="test") as uow:
            assert await uow.tenant_accounts.by_slug("alpha") is not None
            assert await uow.tenant_accounts.by_slug("beta") is None
    async with Database(urls.app) as database, database.lookup(reason="test") as uow:
        with pytest.raises(PermissionDeniedError, match="set platform_url"):
            await uow.tenant_accounts.by_slug("alpha")


async def _find(database: Database, user: User) -> None:
    async with database.lookup(reason="test") as uow:
        assert await uow.users.by_email(user.email) is not None


def _acting(part: str) -> Select[tuple[object]]:
    key = TenantAccount.id
    if part == "a lock":
        return select(select(key).with_for_update().subquery().c.id)
    return select(update(TenantAccount).values(name="Changed").returning(key).cte().c.id)
