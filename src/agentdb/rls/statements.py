"""The statements that give a table its policies, and take them away."""

from __future__ import annotations

from agentdb.models import Base
from agentdb.search_path import prefix
from agentdb.tenancy.policies import Policy
from agentdb.version import VERSION_TABLE

MARK = "agentdb: row-level security is enabled"
"""The comment on the version table that tells later migrations to keep the policies."""

TABLES = tuple(table.name for table in Base.metadata.sorted_tables)
"""All tables, each after those that it refers to."""


def create_policy(policy: Policy, schema: str | None) -> str:
    """Return the statement that makes a policy."""
    condition = policy.condition.format(schema=prefix(schema))
    check = f" WITH CHECK ({condition})" if policy.checks else ""
    return (
        f"CREATE POLICY {policy.name} ON {prefix(schema)}{policy.table}"
        f" FOR {policy.command} USING ({condition}){check}"
    )


def drop_policy(table: str, name: str, schema: str | None) -> str:
    """Return the statement that drops a policy, if it is there."""
    return f"DROP POLICY IF EXISTS {name} ON {prefix(schema)}{table}"


def force(table: str, schema: str | None) -> str:
    """Return the statement that puts a table under its policies, for its owner too."""
    return (
        f"ALTER TABLE {prefix(schema)}{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    )


def release(table: str, schema: str | None) -> str:
    """Return the statement that frees a table of all policies."""
    return (
        f"ALTER TABLE {prefix(schema)}{table}"
        " NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY"
    )


def mark(schema: str | None) -> str:
    """Return the statement that records that the policies are to stay."""
    return f"COMMENT ON TABLE {prefix(schema)}{VERSION_TABLE} IS '{MARK}'"


def unmark(schema: str | None) -> str:
    """Return the statement that takes the record away."""
    return f"COMMENT ON TABLE {prefix(schema)}{VERSION_TABLE} IS NULL"
