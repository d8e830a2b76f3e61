"""Reading all that a tenant has, in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select

from agentdb.database import Database
from agentdb.driver_errors import orm_errors
from agentdb.errors import NotFoundError
from agentdb.operations.tenant_data.encoding import encode_row
from agentdb.operations.tenant_data.tables import Part, parts, stored_columns
from agentdb.tenancy import CONFINED
from agentdb.tenancy.predicates import model_of
from agentdb.types import JsonObject, String
from agentdb.unit_of_work import UnitOfWork

FETCHED = 200
"""Rows in flight: some hold megabytes."""


class ExportedRow(NamedTuple):
    """A row of an export.

    Attributes:
        table: Its table.
        row: Its columns, as JSON has them.
    """

    table: str
    row: JsonObject


async def export_tenant(
    db: Database, tenant_id: UUID, *, redact: bool = True
) -> AsyncGenerator[ExportedRow]:
    """Yield every row of a tenant, of whatever table, in one read-only snapshot.

    Parents come first, the rows of a table by primary key, in constant memory. With the tenant come
    its members, with their profiles, credentials and consents, and the plans that it subscribes to.
    Users who are no members but whom rows refer to come without password and role, invites of
    others by which members came without what they say. What a member does in other tenants, and
    what belongs to no tenant, stays out.

    A reader who stops early closes the generator (`contextlib.aclosing`): its unit of work is open
    until then.

    Args:
        db: The database.
        tenant_id: The tenant.
        redact: Replace passwords, hashes of tokens and codes, and all that is encrypted: by None,
            or by a marker where the column cannot be NULL.

    Raises:
        NotFoundError: There is no such tenant.
    """
    async with db.read(reason=f"export of tenant {tenant_id}") as uow:
        await require_tenant(uow, tenant_id)
        async for exported in rows_of(uow, tenant_id, redact=redact):
            yield exported


async def require_tenant(uow: UnitOfWork, tenant: UUID) -> None:
    """Refuse a tenant that does not exist.

    Raises:
        NotFoundError: There is none.
    """
    if await uow.tenant_accounts.get(tenant) is None:
        raise NotFoundError("there is no such tenant")


async def rows_of(uow: UnitOfWork, tenant: UUID, *, redact: bool) -> AsyncGenerator[ExportedRow]:
    """Yield the rows that `export_tenant` yields, in a unit of the caller."""
    for part in parts(tenant):
        secret = model_of(part.table.name).__secrets__ if redact else frozenset[str]()
        query = _query(part, postgresql=uow.is_postgresql)
        with orm_errors():
            found = await uow.session.stream(query, execution_options={CONFINED: True})
        try:
            async for some in found.mappings().partitions():
                for row in some:
                    encoded = encode_row(part.table, _plain(row), part.hidden | secret)
                    yield ExportedRow(part.table.name, encoded)
        finally:
            await found.close()


def _plain(row: Any) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}


def _query(part: Part, *, postgresql: bool) -> Select[Any]:
    query = select(*stored_columns(part.table)).where(part.where)
    keys = [_in_byte_order(key, postgresql=postgresql) for key in part.table.primary_key]
    return query.order_by(*keys).execution_options(yield_per=FETCHED)


def _in_byte_order(key: Any, *, postgresql: bool) -> ColumnElement[Any]:
    """Return a key as an order that no locale of a server changes."""
    ordered: ColumnElement[Any] = key
    return ordered.collate("C") if postgresql and isinstance(key.type, String) else ordered
