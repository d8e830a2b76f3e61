"""Refusing rows of a file that would not be the tenant's, or would refer to what is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, select

from agentdb.errors import NotFoundError, TenantMismatchError
from agentdb.operations.tenant_data.encoding import is_hidden
from agentdb.operations.tenant_data.tables import owned_rows, references
from agentdb.orm import TenancyClass
from agentdb.tenancy import tenant_value
from agentdb.tenancy.predicates import model_of
from agentdb.unit_of_work import UnitOfWork

_TRACKED = ("users", "tenant_signup_invites", "tenant_signup_requests", "billing_plans")
"""Tables of which rows may be stored already: what the file names is remembered. Requests it names
none."""

_PLACEHOLDERS = {"users": "password_hash", "tenant_signup_invites": "token_hash"}


def is_of_others(table: str, row: Mapping[str, Any]) -> bool:
    """Return whether a row only stands for one of others, which may be stored already."""
    column = _PLACEHOLDERS.get(table)
    return column is not None and is_hidden(row, column)


class Belonging:
    """Knows whose rows an import stores, and which of others it has named."""

    def __init__(self, uow: UnitOfWork, tenant: UUID) -> None:
        """Begin the import of *tenant*."""
        self._uow = uow
        self._tenant = tenant
        self._known: dict[str, set[Any]] = {table: set() for table in _TRACKED}

    async def check(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse rows that are not the tenant's, or refer to rows that are not.

        One SELECT for each reference of the table.

        Raises:
            TenantMismatchError: A row names another tenant, or none where it needs one.
            NotFoundError: A reference leads out of the file.
        """
        for row in rows:
            self._check_owner(table.name, row)
        if table.name in self._known:
            self._known[table.name].update(row["id"] for row in rows)
        for column, target in _checked(table):
            await self.require(target, (row[column.name] for row in rows))

    async def require(self, target: Column[Any], values: Iterable[Any]) -> None:
        """Refuse references to rows that are not stored as the tenant's.

        Raises:
            NotFoundError: There is one.
        """
        wanted = {value for value in values if value is not None}
        name = target.table.name
        known = self._known.get(name)
        if known is None and wanted:
            query = select(target).where(target.in_(wanted), owned_rows(name, self._tenant))
            known = set((await self._uow.execute(query)).scalars())
        if wanted and not wanted <= (known or set()):
            raise NotFoundError(f"a reference to {name} leads out of the export")

    def _check_owner(self, name: str, row: Mapping[str, Any]) -> None:
        expected = list(_owners(name, row, self._tenant))
        if any(row[column] not in allowed for column, allowed in expected):
            raise TenantMismatchError(f"a row of {name} is not of the tenant of the export")


def _owners(
    name: str, row: Mapping[str, Any], tenant: UUID
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the columns that name the owner of a row, and what they may hold."""
    tenancy = model_of(name).__tenancy__
    own = tenant_value(tenancy, tenant)
    match tenancy.kind:
        case TenancyClass.DIRECT:
            yield str(tenancy.column), (own,)
        case TenancyClass.OPTIONAL:
            may_lack = tenancy.shows_members or name == "tenant_signup_invite_reservations"
            yield "tenant_id", (own, None) if may_lack else (own,)
        case TenancyClass.SYSTEM if name == "stripe_events":
            yield "tenant_hint", (str(tenant),)
        case TenancyClass.SYSTEM if name == "tenant_signup_invites":
            yield "issuer_tenant_id", (None,) if is_of_others(name, row) else (own,)
        case _:
            return


def _checked(table: Table) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """Yield the references of a table that are not checked otherwise.

    Those to the tenant are checked as owners, parents of segments when all segments are stored.
    """
    for column, target in references(table):
        if target.table.name not in {"tenant_accounts", table.name}:
            yield column, target
