"""The policies: derived from the declarations, and as PostgreSQL keeps them."""

from __future__ import annotations

import pytest

from agentdb.models import Base
from agentdb.orm import TenancyClass
from agentdb.tenancy.policies import SETTING, policies_of
from agentdb.tenancy.predicates import model_of
from agentdb.testing import RoleUrls
from tests.rls.test_changes import connect

TABLES = sorted(Base.metadata.tables)


@pytest.mark.parametrize("table", TABLES)
def test_each_table_has_the_policies_of_its_class(table: str) -> None:
    """Those of tenants name the setting; shared ones are read; the operator's have none."""
    policies = policies_of(table)
    kind = model_of(table).__tenancy__.kind

    if kind is TenancyClass.SYSTEM:
        assert policies == ()
    elif kind is TenancyClass.SHARED:
        assert [(policy.command, policy.condition) for policy in policies] == [("SELECT", "true")]
    else:
        assert policies
        assert all(SETTING in policy.condition for policy in policies)
        assert any(policy.checks for policy in policies)


@pytest.mark.parametrize("table", ["tenant_accounts", "users"])
def test_no_tenant_makes_or_deletes_what_others_hang_on(
    agentdb_role_urls: RoleUrls, table: str
) -> None:
    """There is no policy for it, so even a role that may sees no row to delete."""
    with connect(agentdb_role_urls.superuser) as connection:
        commands = connection.execute(
            "SELECT polcmd::text FROM pg_policy WHERE polrelid = %s::regclass ORDER BY 1", [table]
        ).fetchall()

    assert commands == [("r",), ("w",)]


def test_the_tenant_is_read_once_for_a_statement(agentdb_role_urls: RoleUrls) -> None:
    """In a sub-select that hangs on no row; else each row would parse the setting."""
    with connect(agentdb_role_urls.app) as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(
            row[0] for row in connection.execute("EXPLAIN VERBOSE SELECT * FROM storage_objects")
        )

    assert "InitPlan" in plan
    assert plan.count("current_setting") == 1


def test_a_parent_is_looked_up_for_each_row(agentdb_role_urls: RoleUrls) -> None:
    """A hash of all conversations of the tenant would cost a page more than its rows."""
    with connect(agentdb_role_urls.app) as connection, connection.transaction():
        plan = "\n".join(
            row[0]
            for row in connection.execute(
                "EXPLAIN SELECT * FROM agent_messages"
                " WHERE conversation_id = '00000000-0000-0000-0000-000000000001' LIMIT 50"
            )
        )

    assert "SubPlan" in plan
    assert "hashed" not in plan
