"""The policies of row-level security, derived from each table's declaration.

They say in SQL of the server what the filter and the guard say in Python, so that a statement which
went past both still finds the rows of its tenant alone. Every table has row-level security: without
a policy, as those of the operator, it is closed to all who are bound by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from agentdb.orm import Tenancy, TenancyClass
from agentdb.tenancy.guard import KEPT
from agentdb.tenancy.predicates import MEMBERSHIPS, model_of

Command: TypeAlias = Literal["ALL", "SELECT", "UPDATE"]

SETTING = "agentdb.tenant_id"
"""The setting of a transaction that names its tenant. Unset it is NULL, and after its first use on
a connection it is empty."""

# In a scalar sub-select, which is evaluated once for a statement and not for each row.
_TENANT = f"(SELECT NULLIF(current_setting('{SETTING}', true), '')::uuid)"
_TENANT_TEXT = f"(SELECT NULLIF(current_setting('{SETTING}', true), '')::uuid::text)"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which rows of a table a role sees and writes that row-level security binds.

    Attributes:
        table: The table.
        name: What PostgreSQL calls the policy.
        command: The statements that it is for.
        condition: The rows that it lets them see, and write; SQL, with ``{schema}`` before tables.
        reads: The other table that the condition looks into, if any.
    """

    table: str
    name: str
    command: Command
    condition: str
    reads: str | None = None

    @property
    def checks(self) -> bool:
        """Whether it says which rows may be written, too."""
        return self.command != "SELECT"


@cache
def policies_of(table: str) -> tuple[Policy, ...]:
    """Return the policies of one of our tables: none for a table that is the operator's.

    Raises:
        KeyError: It is none of ours.
    """
    return tuple(_policies(table, model_of(table).__tenancy__))


def _policies(table: str, tenancy: Tenancy) -> Iterator[Policy]:
    if tenancy.kind is TenancyClass.SHARED:
        yield Policy(table, "agentdb_shared", "SELECT", "true")
    if tenancy.column is None:
        return
    own, reads = _condition(table, tenancy), _read_by(tenancy)
    if table in KEPT:
        # Nobody bound by a tenant makes one of these rows, or deletes one.
        yield Policy(table, "agentdb_tenant_select", "SELECT", own, reads)
        yield Policy(table, "agentdb_tenant_update", "UPDATE", own, reads)
    else:
        yield Policy(table, "agentdb_tenant", "ALL", own, reads)
    if tenancy.shows_members:
        members = f"{tenancy.column} IS NULL AND {_is_member(table, 'user_id')}"
        yield Policy(table, "agentdb_members", "SELECT", members, MEMBERSHIPS)


def _read_by(tenancy: Tenancy) -> str | None:
    return MEMBERSHIPS if tenancy.kind is TenancyClass.IDENTITY else tenancy.parent


def _condition(table: str, tenancy: Tenancy) -> str:
    column = str(tenancy.column)
    match tenancy.kind:
        case TenancyClass.PARENT:
            return _of_parent(table, column, str(tenancy.parent))
        case TenancyClass.IDENTITY:
            return _is_member(table, column)
        case _:
            return _names_tenant(column, tenancy)


def _names_tenant(column: str, tenancy: Tenancy) -> str:
    return f"{column} = {_TENANT_TEXT if tenancy.as_text else _TENANT}"


# A scalar sub-select finds the one parent of a row by its key. EXISTS and IN may be answered by a
# hash of all parents of the tenant, which costs a page of a long conversation ten times itself.


def _of_parent(table: str, column: str, parent: str) -> str:
    tenancy = model_of(parent).__tenancy__
    source = f"{{schema}}{parent} parent WHERE parent.id = {table}.{column}"
    owner = f"(SELECT parent.{tenancy.column} FROM {source})"  # noqa: S608 -- of declarations
    return _names_tenant(owner, tenancy)


def _is_member(table: str, column: str) -> str:
    source = f"{{schema}}{MEMBERSHIPS} member WHERE member.user_id = {table}.{column}"
    own = f"(SELECT member.tenant_id FROM {source} AND member.tenant_id = {_TENANT})"  # noqa: S608 -- the same
    return f"{own} = {_TENANT}"
