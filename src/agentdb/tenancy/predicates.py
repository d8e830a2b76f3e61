"""The condition under which a row belongs to a tenant, derived from its table's declaration."""

from __future__ import annotations

from typing import Any, TypeAlias, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, or_, select

from agentdb.orm import Base, Tenancy, TenancyClass

Condition: TypeAlias = ColumnElement[bool]

MEMBERSHIPS = "tenant_user_memberships"


def table_of(model: type[Base]) -> Table:
    """Return the table of *model*."""
    return cast("Table", model.__table__)


def declaration(name: str) -> Tenancy | None:
    """Return how the table called *name* belongs to tenants; None for a table of the host."""
    return _declarations().get(name)


def model_of(name: str) -> type[Base]:
    """Return the model of the table called *name*."""
    return _models()[name]


def _models() -> dict[str, type[Base]]:
    if not _MODELS:
        _MODELS.update({m.class_.__tablename__: m.class_ for m in Base.registry.mappers})
    return _MODELS


def _declarations() -> dict[str, Tenancy]:
    if not _DECLARED:
        _DECLARED.update({name: model.__tenancy__ for name, model in _models().items()})
    return _DECLARED


_MODELS: dict[str, type[Base]] = {}
_DECLARED: dict[str, Tenancy] = {}


def belongs(columns: Any, tenancy: Tenancy, tenant: UUID) -> Condition | None:
    """Return the condition that a row is visible to *tenant*; None where every row is.

    Args:
        columns: Namespace of the columns: a model, an alias of one, or ``table.c``.
        tenancy: The declaration of the table.
        tenant: The tenant of the unit of work.
    """
    if tenancy.column is None:
        return None
    column: ColumnElement[Any] = getattr(columns, tenancy.column)
    match tenancy.kind:
        case TenancyClass.PARENT:
            return column.in_(_keys_of_parent(tenancy, tenant))
        case TenancyClass.IDENTITY:
            return column.in_(members_of(tenant))
        case _:
            owned = column == tenant_value(tenancy, tenant)
            return or_(owned, _of_members(columns, tenant)) if tenancy.shows_members else owned


def owned(columns: Any, tenancy: Tenancy, tenant: UUID) -> Condition | None:
    """Return the condition under which a tenant's unit may change a row.

    It is the one for reading, without the rows that belong to no tenant.
    """
    if not tenancy.shows_members or tenancy.column is None:
        return belongs(columns, tenancy, tenant)
    column: ColumnElement[Any] = getattr(columns, tenancy.column)
    return column == tenant


def tenant_value(tenancy: Tenancy, tenant: UUID) -> UUID | str:
    """Return *tenant* as the tenant column of a table holds it."""
    return str(tenant) if tenancy.as_text else tenant


def _keys_of_parent(tenancy: Tenancy, tenant: UUID) -> Select[Any]:
    parent = Base.metadata.tables[str(tenancy.parent)]
    belonging = model_of(parent.name).__tenancy__
    owner = parent.c[str(belonging.column)]
    return select(parent.c.id).where(owner == tenant_value(belonging, tenant))


def members_of(tenant: UUID) -> Select[Any]:
    """Return the query for the users who are members of *tenant*."""
    memberships = Base.metadata.tables[MEMBERSHIPS]
    return select(memberships.c.user_id).where(memberships.c.tenant_id == tenant)


def _of_members(columns: Any, tenant: UUID) -> ColumnElement[bool]:
    return and_(columns.tenant_id.is_(None), columns.user_id.in_(members_of(tenant)))
