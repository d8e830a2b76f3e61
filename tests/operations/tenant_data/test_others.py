"""What an export has of others, and what an erasure leaves them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from agentdb import Database
from agentdb.models import TenantSignupInvite, UserSession
from agentdb.operations import erase_tenant, import_tenant
from agentdb.operations.tenant_data.encoding import MARKER
from agentdb.testing.two_tenants import PARTIES, rows_of, store_in
from agentdb.types import JsonObject
from tests.operations.tenant_data.test_importing import file_of, store_plans
from tests.operations.tenant_data.worlds import Exported, exported, store_two, traces
from tests.rows import row_of


def of(rows: Exported, table: str) -> dict[str, JsonObject]:
    """Return the rows of a table by id."""
    return {row["id"]: row for name, row in rows if name == table}


def tie(connection: Connection) -> tuple[Any, Any]:
    """Store two tenants; in the first are a session of a stranger and a guest of an invite.

    The stranger is the other tenant's, and so is the invite.
    """
    one, other = store_two(connection)
    parents = {**one, "users": other["users"]}
    session = row_of("user_sessions", "xqstranger", parents)
    invited = {**one, "tenant_signup_invites": other["tenant_signup_invites"]}
    guest = row_of("tenant_signup_invite_reservations", "xqguest", invited)
    store_in(connection, [session, guest])
    return one, other


async def test_who_is_no_member_comes_without_password_and_profile(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """The row of the user alone, as rows refer to it."""
    one, other = tie(agentdb_sync_connection)
    rows = await exported(agentdb_database, one["tenant_accounts"].id)
    stranger = str(other["users"].id)
    user = of(rows, "users")[stranger]
    assert user["password_hash"] == f"{MARKER}{stranger}"
    assert user["platform_role"] is None
    assert user["email"] == other["users"].email
    for table in ("user_profiles", "password_history", "user_mfa_methods", "user_consents"):
        assert {row["user_id"] for row in of(rows, table).values()} == {str(one["users"].id)}


async def test_an_invite_of_others_comes_without_what_it_says(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """Only that it was there."""
    one, other = tie(agentdb_sync_connection)
    rows = await exported(agentdb_database, one["tenant_accounts"].id)
    invite: TenantSignupInvite = other["tenant_signup_invites"]
    found = of(rows, "tenant_signup_invites")[str(invite.id)]
    assert found["token_hash"] == f"{MARKER}{invite.id}"
    hidden = ("invited_email", "issuer_tenant_id", "issuer_user_id", "note", "metadata_json")
    assert [found[column] for column in hidden] == [None] * len(hidden)


async def test_others_move_along_once(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """A database that has no such user and invite gets them; a later import takes them as there."""
    one, _ = tie(agentdb_sync_connection)
    tenant = one["tenant_accounts"].id
    lines = await file_of(agentdb_database, tenant)
    await store_plans(elsewhere)
    await import_tenant(elsewhere, lines)
    there = await exported(elsewhere, tenant)
    for table in ("users", "tenant_signup_invites", "user_sessions"):
        assert of(there, table) == of(await exported(agentdb_database, tenant), table)
    await erase_tenant(elsewhere, tenant, delete_orphan_users=True)
    await import_tenant(elsewhere, lines)
    assert of(await exported(elsewhere, tenant), "users") == of(there, "users")


async def test_a_stranger_who_is_there_stays_as_he_is(
    agentdb_database: Database, agentdb_sync_connection: Connection, elsewhere: Database
) -> None:
    """An import does not take the password of somebody whom the file only names."""
    one, _ = tie(agentdb_sync_connection)
    stranger = rows_of(PARTIES[1], {})["users"]
    async with elsewhere.begin_system(reason="test") as uow:
        await uow.users.add(stranger)
    kept = stranger.password_hash
    await store_plans(elsewhere)
    await import_tenant(elsewhere, await file_of(agentdb_database, one["tenant_accounts"].id))
    async with elsewhere.begin_system(reason="test") as uow:
        assert (await uow.users.require(stranger.id)).password_hash == kept
        assert await uow.user_sessions.count(UserSession.user_id == stranger.id) == 1


async def test_an_invite_by_which_somebody_came_elsewhere_loses_its_issuer(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """It stays with the reservation of the other tenant, and names the erased one no more."""
    one, other = tie(agentdb_sync_connection)
    tenant = other["tenant_accounts"].id
    told = await erase_tenant(agentdb_database, tenant, dry_run=True)
    assert await erase_tenant(agentdb_database, tenant) == told
    assert "tenant_signup_invites" not in told
    assert not traces(agentdb_sync_connection, tenant)
    async with agentdb_database.begin_system(reason="test") as uow:
        invite = await uow.tenant_signup_invites.require(other["tenant_signup_invites"].id)
        assert invite.issuer_tenant_id is None
    reservations = of(
        await exported(agentdb_database, one["tenant_accounts"].id),
        "tenant_signup_invite_reservations",
    )
    assert str(invite.id) in {row["invite_id"] for row in reservations.values()}
