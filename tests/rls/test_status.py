"""Whether row-level security holds, and for whom."""

from __future__ import annotations

import pytest

from agentdb import rls
from agentdb.database import Database
from agentdb.errors import ConfigurationError, PermissionDeniedError
from agentdb.rls import RlsState
from agentdb.testing import RoleUrls, Template
from tests.rls.test_changes import connect


def refusal(url: str) -> str:
    """Return why a service should not start on *url*."""
    with pytest.raises(PermissionDeniedError) as caught:
        rls.require(url)
    return str(caught.value)


def test_the_role_of_the_application_is_bound(agentdb_role_urls: RoleUrls) -> None:
    """It may start."""
    found = rls.require(agentdb_role_urls.app)

    assert found.bound
    assert found.passes == ()
    assert found.refusal is None


@pytest.mark.parametrize("role", ["superuser", "platform"])
def test_roles_that_pass_are_refused(agentdb_role_urls: RoleUrls, role: str) -> None:
    """By what lets them pass; the URL with its password is not told."""
    url: str = getattr(agentdb_role_urls, role)
    reason = refusal(url)

    assert ("superuser" if role == "superuser" else "BYPASSRLS") in reason
    assert "agentdb_" not in reason


def test_an_owner_without_force_is_refused(agentdb_role_urls: RoleUrls) -> None:
    """FORCE is what binds it."""
    rls.require(agentdb_role_urls.owner)
    with connect(agentdb_role_urls.owner) as connection:
        connection.execute("ALTER TABLE agent_messages NO FORCE ROW LEVEL SECURITY")

    assert "agent_messages" in refusal(agentdb_role_urls.owner)


def test_an_open_database_is_refused(agentdb_role_urls: RoleUrls) -> None:
    """Nothing is enabled."""
    rls.disable(agentdb_role_urls.owner)

    assert refusal(agentdb_role_urls.app).endswith("it is not enabled")


def test_a_policy_of_others_is_seen(agentdb_role_urls: RoleUrls) -> None:
    """Policies add up: one more may show everything."""
    with connect(agentdb_role_urls.owner) as connection:
        connection.execute("CREATE POLICY all_rows ON users USING (true)")

    (users,) = [t for t in rls.status(agentdb_role_urls.app).tables if t.table == "users"]
    assert users.foreign == ("all_rows",)
    assert "users" in refusal(agentdb_role_urls.app)


@pytest.mark.parametrize(
    ("view", "leaks"),
    [
        ("VIEW peek", True),
        ("VIEW peek WITH (security_invoker = false)", True),
        ("VIEW peek WITH (security_invoker)", False),
        ("VIEW peek WITH (security_invoker = on)", False),
        ("MATERIALIZED VIEW peek", True),
    ],
)
def test_views_that_read_past_the_policies_are_seen(
    agentdb_role_urls: RoleUrls, view: str, leaks: bool
) -> None:
    """A view reads with the rights of its owner, a materialized one has read."""
    with connect(agentdb_role_urls.superuser) as connection:
        connection.execute(f"CREATE {view} AS SELECT count(*) FROM users".encode())

    found = rls.status(agentdb_role_urls.app)

    assert found.state is RlsState.ENABLED
    assert found.leaks == (("peek",) if leaks else ())
    if leaks:
        assert "peek read past it" in refusal(agentdb_role_urls.app)


async def test_a_service_starts_with_the_right_roles_alone(
    agentdb_role_urls: RoleUrls, agentdb_template: Template
) -> None:
    """Both roles lead to one database, one of them bound and the other not."""
    urls = agentdb_role_urls
    other = agentdb_template.clone()

    async with Database(urls.app, platform_url=urls.platform) as right:
        await right.require_policies()
    async with Database(urls.app, platform_url=urls.owner) as bound:
        with pytest.raises(PermissionDeniedError, match="it needs BYPASSRLS"):
            await bound.require_policies()
    async with Database(urls.platform, platform_url=urls.platform) as passing:
        with pytest.raises(PermissionDeniedError, match="the role passes it as BYPASSRLS"):
            await passing.require_policies()
    async with Database(urls.app, platform_url=other) as apart:
        with pytest.raises(ConfigurationError, match="another database"):
            await apart.require_policies()
    agentdb_template.drop(other)
