"""What a database holds of row-level security, beside what it should."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from agentdb.rls.statements import MARK, TABLES
from agentdb.search_path import mapped_schema
from agentdb.tenancy.policies import Policy, policies_of
from agentdb.version import VERSION_TABLE

_TABLES = text("""
    SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
           coalesce((
               SELECT jsonb_object_agg(p.polname, jsonb_build_object(
                   'command', p.polcmd, 'permissive', p.polpermissive,
                   'public', p.polroles = '{0}'::oid[],
                   'using', pg_get_expr(p.polqual, p.polrelid),
                   'check', pg_get_expr(p.polwithcheck, p.polrelid)))
               FROM pg_policy p WHERE p.polrelid = c.oid
           ), '{}') AS policies
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema())
      AND c.relname = ANY(:tables) AND c.relkind IN ('r', 'p')
""")
_MARK = text("""
    SELECT obj_description(c.oid, 'pg_class') FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema()) AND c.relname = :table
""")
_COMMANDS = {"ALL": "*", "SELECT": "r", "UPDATE": "w"}
_QUALIFIER = re.compile(rf'(?:"(?:[^"]|"")+"|\w+)\.(?=(?:{"|".join(TABLES)})\b)')
# What PostgreSQL adds where it prints an expression: casts and names that mean nothing here,
# parentheses, line breaks.
_DECORATION = re.compile(r'::text|::character varying|AS "nullif"|[\s()]')


class RlsState(StrEnum):
    """How far a database is under its policies."""

    ENABLED = "enabled"
    """All tables are, with the policies of this release and no others."""
    DISABLED = "disabled"
    """No table is."""
    INCOMPLETE = "incomplete"
    """Some are, or their policies are not those of this release."""


@dataclass(frozen=True, slots=True)
class TableState:
    """Row-level security of one table.

    Attributes:
        table: Its name.
        enabled: Whether it is on.
        forced: Whether it binds the owner of the table.
        missing: Policies that the table lacks.
        changed: Policies that are other than this release makes them.
        foreign: Policies that are not ours; each may show more.
    """

    table: str
    enabled: bool
    forced: bool
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything is as this release makes it."""
        return self.enabled and self.forced and not (self.missing or self.changed or self.foreign)

    @property
    def is_bare(self) -> bool:
        """Whether nothing of ours is there."""
        ours = {policy.name for policy in policies_of(self.table)}
        return not (self.enabled or self.forced or self.changed) and ours == set(self.missing)


@dataclass(frozen=True, slots=True)
class RlsStatus:
    """Row-level security of a database.

    Attributes:
        recorded: Whether migrations keep it.
        tables: The state of each of our tables.
        leaks: Views that read our tables with the rights of their owner, and materialized views.
        bound: Whether the policies of all tables bind the role that asked.
        passes: Why they would not bind it: ``superuser``, ``BYPASSRLS``, ``owner``; empty if none.
    """

    recorded: bool
    tables: tuple[TableState, ...]
    leaks: tuple[str, ...]
    bound: bool
    passes: tuple[str, ...]

    @property
    def state(self) -> RlsState:
        """How far the database is under its policies."""
        if all(table.is_complete for table in self.tables):
            return RlsState.ENABLED
        bare = all(table.is_bare for table in self.tables)
        return RlsState.DISABLED if bare else RlsState.INCOMPLETE

    @property
    def refusal(self) -> str | None:
        """Why a unit of a tenant should not work with the database as this role; None if it may."""
        reasons = "; ".join(self._reasons())
        return f"row-level security does not hold: {reasons}" if reasons else None

    def _reasons(self) -> Iterator[str]:
        if self.state is RlsState.DISABLED:
            yield "it is not enabled"
        elif self.state is RlsState.INCOMPLETE:
            tables = ", ".join(table.table for table in self.tables if not table.is_complete)
            yield f"the policies of {tables} are not those of this release"
        elif not self.bound:
            yield f"the role passes it as {' and '.join(self.passes)}"
        if self.leaks:
            yield f"{', '.join(self.leaks)} read past it"


def table_states(connection: Connection) -> tuple[TableState, ...]:
    """Return the state of each of our tables that the database has, in the order of locks."""
    names = {"schema": mapped_schema(connection), "tables": list(TABLES)}
    found = {row.name: row for row in connection.execute(_TABLES, names)}
    return tuple(_state(found[name]) for name in TABLES if name in found)


def is_recorded(connection: Connection) -> bool:
    """Whether the policies are to stay over migrations."""
    where = {"schema": mapped_schema(connection), "table": VERSION_TABLE}
    return connection.execute(_MARK, where).scalar() == MARK


def _state(row: Any) -> TableState:
    expected = {policy.name: policy for policy in policies_of(row.name)}
    present: Mapping[str, Mapping[str, Any]] = row.policies
    both = expected.keys() & present.keys()
    return TableState(
        row.name,
        row.enabled,
        row.forced,
        missing=tuple(name for name in expected if name not in present),
        changed=tuple(sorted(n for n in both if not _is_same(expected[n], present[n]))),
        foreign=tuple(sorted(present.keys() - expected.keys())),
    )


def _is_same(policy: Policy, found: Mapping[str, Any]) -> bool:
    condition = _plain(policy.condition.format(schema=""))
    check = condition if policy.checks else None
    return (
        found["permissive"]
        and found["public"]
        and found["command"] == _COMMANDS[policy.command]
        and _plain(found["using"]) == condition
        and (found["check"] is None if check is None else _plain(found["check"] or "") == check)
    )


def _plain(expression: str) -> str:
    """Return an expression without what differs between how it is written and how it is kept."""
    return _DECORATION.sub("", _QUALIFIER.sub("", expression))
