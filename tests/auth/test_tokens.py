from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.accounts import account_of
from agentdb.auth.credentials import NewToken
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    TenantMismatchError,
)
from agentdb.operations import rotate
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.auth.credentials import DAY, new_token
from tests.plans import plans_of

MINUTE = timedelta(minutes=1)
NOW = utc_now()
UPPER = "0A" * 16


async def unrevoked(uow: UnitOfWork, account: str = "importer") -> list[str]:
    """Return the ids of the unrevoked tokens of an account, across tenants."""
    model = uow.service_account_tokens.model
    rows = await uow.service_account_tokens.all(model.account == account)
    return [row.refresh_jti for row in rows if row.revoked_at is None]


async def test_a_token_keeps_its_scopes_in_one_form(agentdb_uow: UnitOfWork) -> None:
    """Sorted, each once; the order in which they are asked for does not matter."""
    row = await agentdb_uow.service_account_tokens.issue(
        "importer", ["b", "a", "b"], new_token("first"), now=NOW
    )

    assert (row.scopes, row.scope_key) == (["a", "b"], "a b")
    assert (row.issued_at, row.created_at, row.updated_at) == (NOW, NOW, NOW)
    assert await agentdb_uow.service_account_tokens.by_scopes("importer", ["a", "b"]) is row
    assert await agentdb_uow.service_account_tokens.by_scopes("importer", ["a"]) is None


async def test_a_service_account_has_one_token_for_its_scopes(agentdb_uow: UnitOfWork) -> None:
    """The present one is replaced; that of other scopes stays."""
    repository = agentdb_uow.service_account_tokens
    first = await repository.issue("importer", ["a"], new_token("first"), now=NOW)
    await repository.issue("importer", ["b"], new_token("other"))
    await repository.issue("importer", ["a"], new_token("second"), now=NOW + MINUTE)

    assert (first.revoked_at, first.revoked_reason) == (NOW + MINUTE, "replaced")
    assert sorted(await unrevoked(agentdb_uow)) == ["other", "second"]


async def test_a_tenants_token_and_one_across_tenants_do_not_meet(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A tenant's unit sees its own alone; a system unit that names no tenant, that of all."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin_system(reason="test") as uow:
        repository = uow.service_account_tokens
        own = await repository.issue("importer", ["a"], new_token("own"), tenant_id=tenant)
        everywhere = await repository.issue("importer", ["a"], new_token("everywhere"))

        assert sorted(await unrevoked(uow)) == ["everywhere", "own"]
        assert await repository.by_scopes("importer", ["a"], tenant_id=tenant) is own
        assert await repository.by_scopes("importer", ["a"]) is everywhere
    async with agentdb_database.begin(tenant=tenant) as uow:
        assert await unrevoked(uow) == ["own"]
        assert not await uow.service_account_tokens.revoke("everywhere", "test")


async def test_a_user_has_a_token_for_each_session(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """None of them replaces another."""
    user = agentdb_make.user()
    for jti in ("first", "second"):
        session = await agentdb_uow.user_sessions.open(user.id, jti)
        await agentdb_uow.service_account_tokens.issue(
            account_of(user.id), ["a"], new_token(jti), session_id=session.id
        )

    assert sorted(await unrevoked(agentdb_uow, account_of(user.id))) == ["first", "second"]


@pytest.mark.parametrize("account", ["USER:import", "User:", "user:", f"user:{UPPER}"])
async def test_no_account_is_a_user_in_disguise(agentdb_uow: UnitOfWork, account: str) -> None:
    """What begins so names a user in the one form that all look-ups know."""
    with pytest.raises(InvalidValueError, match="account"):
        await agentdb_uow.service_account_tokens.issue(account, ["a"], new_token("first"))


async def test_no_token_for_nobody_or_for_the_session_of_another(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Unknown users, unknown sessions and those of others are one error; revoked ones another."""
    ada, eve = agentdb_make.user(), agentdb_make.user()
    session = await agentdb_uow.user_sessions.open(ada.id, "first")
    revoked = agentdb_make.user_session(user=ada, revoked_at=NOW)
    issue = agentdb_uow.service_account_tokens.issue

    with pytest.raises(NotFoundError):
        await issue(account_of(uuid4()), ["a"], new_token("x"))
    for key in (session.id, uuid4()):
        with pytest.raises(NotFoundError, match="a reference to user_sessions leads nowhere"):
            await issue(account_of(eve.id), ["a"], new_token("x"), session_id=key)
    with pytest.raises(InvalidTransitionError):
        await issue(account_of(ada.id), ["a"], new_token("x"), session_id=revoked.id)
    assert await agentdb_uow.service_account_tokens.count() == 0


async def test_a_refused_token_leaves_the_present_one(agentdb_uow: UnitOfWork) -> None:
    """A taken id, a naive expiry or a bad scope undoes the replacement, and the unit goes on."""
    issue = agentdb_uow.service_account_tokens.issue
    await issue("importer", ["a"], new_token("first"))
    await issue("other", ["a"], new_token("taken"))
    naive = NewToken(
        refresh_token_hash="digest",
        refresh_jti="second",
        signing_kid="key",
        expires_at=NOW.replace(tzinfo=None),
    )

    with pytest.raises(DuplicateError):
        await issue("importer", ["a"], new_token("taken"))
    with pytest.raises(NaiveDatetimeError):
        await issue("importer", ["a"], naive)
    for scopes in ("abc", ["a b"], [""]):
        with pytest.raises(InvalidValueError):
            await issue("importer", scopes, new_token("second"))
    found = await agentdb_uow.service_account_tokens.by_refresh_jti("first")
    assert found is not None
    assert found.revoked_at is None


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("is_global", [True, False], ids=["across tenants", "of a tenant"])
async def test_of_eight_tokens_issued_at_once_one_is_unrevoked(
    agentdb_database: Database, agentdb_make: Factory, is_global: bool
) -> None:
    """All eight callers succeed; seven tokens are replaced."""
    tenant = None if is_global else agentdb_make.tenant.id

    async def issue(number: int) -> str:
        async with agentdb_database.begin_system(reason="test") as uow:
            row = await uow.service_account_tokens.issue(
                "importer", ["a"], new_token(f"token-{number}"), tenant_id=tenant
            )
            return row.refresh_jti

    outcomes = await run_concurrently(8, issue, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(reason="test") as uow:
        rows = await uow.service_account_tokens.all()
    assert len(rows) == 8
    assert [row.revoked_reason for row in rows].count("replaced") == 7


@pytest.mark.agentdb_commits
async def test_an_issue_and_a_rotation_at_once_leave_one_token(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whichever comes first: no unique key fails, and one token is unrevoked."""
    tenant = agentdb_make.tenant.id
    async with agentdb_database.begin(tenant=tenant) as uow:
        await uow.service_account_tokens.issue("importer", ["a"], new_token("first"))

    async def call(number: int) -> None:
        token = new_token(f"token-{number}")
        async with agentdb_database.begin(tenant=tenant) as uow:
            if number:
                await uow.service_account_tokens.issue("importer", ["a"], token)
            else:
                await rotate(uow, "first", token)

    outcomes = await run_concurrently(4, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        assert len(await unrevoked(uow)) == 1


async def test_the_token_for_scopes_is_the_newest_that_works(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Neither a revoked nor an expired one; it expires at its instant, by the clock."""
    user = agentdb_make.user()
    account, repository = account_of(user.id), agentdb_uow.service_account_tokens
    for number, lasts in enumerate([2 * MINUTE, 3 * MINUTE, MINUTE]):
        at = NOW + timedelta(seconds=number)
        await repository.issue(account, ["a"], new_token(f"{number}", at=NOW, lasts=lasts), now=at)

    async def newest(after: timedelta) -> str | None:
        found = await repository.by_scopes(account, ["a"], now=NOW + after)
        return None if found is None else found.refresh_jti

    assert await newest(timedelta(0)) == "2"
    assert await newest(MINUTE) == "1"
    assert await repository.revoke("1", "test")
    assert await newest(MINUTE) == "0"
    assert await newest(2 * MINUTE) is None


async def test_a_token_is_revoked_once(agentdb_uow: UnitOfWork) -> None:
    """The first time and reason stay; of an unknown one nothing is told."""
    repository = agentdb_uow.service_account_tokens
    row = await repository.issue("importer", ["a"], new_token("first"))

    assert await repository.revoke("first", "test", now=NOW)
    assert not await repository.revoke("first", "again", now=NOW + MINUTE)
    assert not await repository.revoke("unknown", "test")
    assert (row.revoked_at, row.revoked_reason) == (NOW, "test")


async def test_all_tokens_of_an_account_are_revoked(agentdb_uow: UnitOfWork) -> None:
    """Those revoked before keep time and reason; other accounts are left alone."""
    repository = agentdb_uow.service_account_tokens
    rows = [
        await repository.issue(account, [scope], new_token(f"{account}-{scope}"))
        for account, scope in [("a", "x"), ("a", "y"), ("a", "z"), ("b", "x")]
    ]
    await repository.revoke("a-z", "before", now=NOW)

    assert await repository.revoke_all("a", "test") == 2
    assert await repository.revoke_all("a", "again") == 0
    assert [row.revoked_reason for row in rows] == ["test", "test", "before", None]


async def test_a_search_is_about_state_kind_name_and_device(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """A revoked token is not expired as well; no character of a name is special."""
    user, repository = agentdb_make.user(), agentdb_uow.service_account_tokens
    await repository.issue("Im_porter", ["a"], new_token("live", fingerprint="f" * 300))
    await repository.issue("importer", ["a"], new_token("late", lasts=-DAY))
    await repository.issue("100%", ["a"], new_token("gone", lasts=-DAY))
    await repository.revoke("gone", "test")
    await repository.issue(account_of(user.id), ["a"], new_token("users"))

    async def found(**where: object) -> set[str]:
        page = await repository.search(**where)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- one table of cases
        return {row.refresh_jti for row in page}

    assert await found() == {"live", "late", "gone"}
    assert await found(status="active") == {"live"}
    assert await found(status="expired") == {"late"}
    assert await found(status="revoked") == {"gone"}
    assert await found(kind="user") == {"users"}
    assert await found(kind="all") == {"live", "late", "gone", "users"}
    assert await found(account_contains="PORTER") == {"live", "late"}
    assert await found(account_contains="m_p") == {"live"}
    assert await found(account_contains="%") == {"gone"}
    assert await found(fingerprint="f" * 300) == {"live"}
    for refused in ({"status": "any"}, {"kind": "any"}, {"limit": 0}):
        with pytest.raises(InvalidValueError):
            await found(**refused)


async def test_a_search_across_tenants_names_them(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Tokens across tenants are left out on demand; a tenant's unit names its tenant alone."""
    own, other = agentdb_make.tenant.id, agentdb_make.tenant_account().id
    async with agentdb_database.begin_system(reason="test") as uow:
        repository = uow.service_account_tokens
        for tenant, jti in ((own, "own"), (other, "other"), (None, "global")):
            await repository.issue("a", ["a"], new_token(jti), tenant_id=tenant)

        async def found(tenants: list[UUID] | None, *, include_global: bool) -> set[str]:
            page = await repository.search(tenant_ids=tenants, include_global=include_global)
            return {row.refresh_jti for row in page}

        assert await found(None, include_global=True) == {"own", "other", "global"}
        assert await found(None, include_global=False) == {"own", "other"}
        assert await found([other], include_global=False) == {"other"}
        assert await found([own], include_global=True) == {"own", "global"}
        assert await found([], include_global=False) == set()
    async with agentdb_database.begin(tenant=own) as uow:
        assert [row.refresh_jti for row in await uow.service_account_tokens.search()] == ["own"]
        with pytest.raises(TenantMismatchError):
            await uow.service_account_tokens.search(tenant_ids=[other])


async def test_a_walk_over_active_tokens_goes_on_as_time_passes(agentdb_uow: UnitOfWork) -> None:
    """The clock of a state is no part of what a cursor is bound to."""
    repository = agentdb_uow.service_account_tokens
    for number in range(5):
        await repository.issue(f"a{number}", ["a"], new_token(f"{number}"), now=NOW)
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await repository.search(status="active", after=cursor, limit=2)
        found += [row.refresh_jti for row in page]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(found) == ["0", "1", "2", "3", "4"]


@pytest.mark.agentdb_plans
async def test_look_ups_of_tokens_follow_an_index(agentdb_database: Database) -> None:
    """Neither the hot look-ups nor a page reads the table from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        repository = uow.service_account_tokens
        cases = [
            (repository.by_refresh_jti("x"), "refresh_jti"),
            (repository.revoke("x", "test"), "refresh_jti"),
            (repository.revoke_all("x", "test"), "ix_service_account_tokens_account"),
            (repository.search(tenant_ids=[uuid4()], include_global=False), "tenant_issued"),
        ]
        for call, index in cases:
            for plan in await plans_of(uow, call):
                plan.assert_scans_nothing()
                assert any(index in name for name in plan.indexes), plan.text


def test_a_new_token_does_not_show_its_digest() -> None:
    """Neither in a log nor in a traceback."""
    token = new_token("first")

    assert token.refresh_token_hash not in repr(token)
