"""The grants of the three roles: enough for all verbs, and no more."""

from __future__ import annotations

import psycopg
import pytest

from agentdb import NewMessage, migrate, rls
from agentdb.database import Database
from agentdb.rls import RlsState, Roles
from agentdb.testing import RoleUrls
from tests.rls.test_changes import connect, postgres

BAD_NAME = "o\"wner '%s' $agentdb$ \\"


def refused(url: str, statement: str) -> bool:
    """Whether a role may not run a statement."""
    with connect(url) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM stripe_events",
        "SELECT FROM tenant_signup_requests",
        "UPDATE billing_plans SET name = name",
        "INSERT INTO users (id) VALUES (gen_random_uuid())",
        "DELETE FROM users",
        "UPDATE users SET platform_role = 'platform_operator'",
        "UPDATE tenant_accounts SET id = gen_random_uuid()",
        "DELETE FROM tenant_accounts",
        "TRUNCATE agent_messages",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON users USING (true)",
        "SELECT nextval('plan_features_id_seq'); SELECT setval('agent_messages_id_seq', 1)",
        "CREATE TABLE mine (id int)",
    ],
)
def test_the_application_may_not(agentdb_role_urls: RoleUrls, statement: str) -> None:
    """What no unit of a tenant does is not granted."""
    assert refused(agentdb_role_urls.app, statement)


async def test_a_conversation_needs_no_more_than_is_granted(
    agentdb_policed_database: Database,
) -> None:
    """The system makes the tenant, the tenant does the rest; each as its own role."""
    async with agentdb_policed_database.begin_system(reason="test") as uow:
        tenant = await uow.tenant_accounts.create(slug="acme", name="Acme")
    async with agentdb_policed_database.begin(tenant=tenant.id) as uow:
        row, _ = await uow.agent_conversations.get_or_create("one", agent_entrypoint="triage")
        await uow.agent_messages.append(row.id, [NewMessage(role="user", content="Hello")])
        page = await uow.agent_messages.transcript(row.id)

    assert [message.content["text"] for message in page.items] == ["Hello"]


@postgres
def test_the_script_runs_again_and_under_any_name(agentdb_url: str) -> None:
    """Quotes, percent signs and dollars of a name end no quotes of the script."""
    roles = Roles(owner=BAD_NAME, app=f"{BAD_NAME}2", platform=f"{BAD_NAME}3")
    with connect(agentdb_url) as connection:
        try:
            for _ in range(2):
                for statement in rls.grants(roles):
                    connection.execute(statement.encode())
            owners = connection.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
        finally:
            for role in (roles.owner, roles.app, roles.platform):
                named = '"{}"'.format(role.replace('"', '""'))
                connection.execute(f"REASSIGN OWNED BY {named} TO CURRENT_USER".encode())
                connection.execute(f"DROP OWNED BY {named}; DROP ROLE {named}".encode())

    assert owners == [(BAD_NAME,)]


def test_the_owner_migrates_and_enables(agentdb_role_urls: RoleUrls) -> None:
    """Down and up again, without a superuser."""
    migrate.downgrade(agentdb_role_urls.owner, "base")
    migrate.upgrade(agentdb_role_urls.owner)

    assert rls.status(agentdb_role_urls.owner).state is RlsState.ENABLED
