"""Keeping a row, and all that it refers to, within one tenant."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from agentdb.auth.models import TenantUserMembership, User
from agentdb.errors import InvalidValueError, TenantMismatchError
from agentdb.orm import Base, TenancyClass
from agentdb.tenants.models import TenantAccount
from agentdb.testing.factories.drafts import Draft
from agentdb.testing.factories.references import (
    Target,
    as_held,
    models_by_table,
    references,
    table_of,
)

OWNERLESS = {TenancyClass.SHARED, TenancyClass.SYSTEM}


def owner_of(session: Session, row: Base) -> UUID | None:
    """Return the tenant of a row, None where it has none or may have several."""
    tenancy = row.__tenancy__
    if tenancy.column is None or tenancy.kind is TenancyClass.IDENTITY:
        return None
    held: Any = getattr(row, tenancy.column)
    if tenancy.kind is TenancyClass.PARENT:
        parent = find(session, Target(str(tenancy.parent), "id"), held)
        return None if parent is None else owner_of(session, parent)
    return UUID(str(held)) if held is not None else None


def find(session: Session, target: Target, key: object) -> Base | None:
    """Return the row that a key leads to."""
    model = models_by_table()[target.table]
    column: Any = getattr(model, target.attribute)
    row: Base | None = session.scalars(select(model).where(column == key)).one_or_none()
    return row


def inherit(draft: Draft) -> None:
    """Take over what the given parents refer to themselves, if the row has to refer to it too.

    Raises:
        TenantMismatchError: The parents are of several tenants.
        InvalidValueError: They are of several conversations, or of other rows that must be one.
    """
    for parent in draft.parents.values():
        theirs = references(type(parent))
        for attribute, (column, target) in references(draft.model).items():
            if attribute not in theirs or theirs[attribute][1] != target:
                continue
            if column.nullable and attribute != draft.model.__tenancy__.column:
                continue
            held = as_held(column, getattr(parent, attribute))
            if held is not None and draft.default(attribute, held) != held:
                _refuse(attribute)


def _refuse(attribute: str) -> None:
    if attribute == "tenant_id":
        raise TenantMismatchError("the rows that it would refer to are of several tenants")
    raise InvalidValueError(f"the rows that it would refer to differ in {attribute}")


def check_parents(draft: Draft) -> None:
    """Refuse parents of another tenant, and people who are no members.

    Raises:
        TenantMismatchError: There is one.
    """
    if draft.tenant is None or draft.model is TenantUserMembership:
        return
    for attribute, (column, target) in references(draft.model).items():
        if not draft.has(attribute) or target.table == "tenant_accounts":
            continue
        parent = draft.parents.get(attribute)
        if parent is None and column.foreign_keys:
            parent = find(draft.session, target, draft.values[attribute])
        if parent is not None and not _belongs(draft.session, parent, draft.tenant):
            raise TenantMismatchError(f"{attribute} refers to a row of another tenant")


def _belongs(session: Session, parent: Base, tenant: UUID) -> bool:
    if isinstance(parent, User):
        mine = TenantUserMembership.user_id == parent.id, TenantUserMembership.tenant_id == tenant
        return session.scalars(select(TenantUserMembership).where(*mine)).first() is not None
    return owner_of(session, parent) in {None, tenant}


def tenant_of_parents(draft: Draft) -> UUID | None:
    """Return the tenant of the first parent that has one."""
    for attribute, (column, target) in references(draft.model).items():
        parent = draft.parents.get(attribute)
        if parent is None and column.foreign_keys and draft.has(attribute):
            parent = find(draft.session, target, draft.values[attribute])
        owner = None if parent is None else _owner_as_parent(draft.session, parent)
        if owner is not None:
            return owner
    return None


def _owner_as_parent(session: Session, parent: Base) -> UUID | None:
    return parent.id if isinstance(parent, TenantAccount) else owner_of(session, parent)


def tenant_column(model: type[Base]) -> str | None:
    """Return the attribute that names the tenant, None if a row names none."""
    known = model is not TenantAccount and "tenant_id" in table_of(model).columns
    return "tenant_id" if known else None
