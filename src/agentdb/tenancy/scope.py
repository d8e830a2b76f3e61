"""Whose data a unit of work may touch."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from agentdb.errors import (
    InvalidValueError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)

_KEY = "agentdb.scope"


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant of a unit of work, or the reason why it reaches across tenants.

    Attributes:
        tenant: The tenant that every statement is confined to.
        reason: Why a system unit reaches across tenants; None in a tenant's unit.
    """

    tenant: UUID | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse a scope that is both, or whose tenant is no UUID."""
        if self.tenant is not None:
            check_tenant(self.tenant)
        if self.reason is not None and not self.reason.strip():
            raise InvalidValueError("a system unit needs a reason")
        if self.tenant is not None and self.reason is not None:
            raise PermissionDeniedError("a unit of work belongs to a tenant or to the system")

    @property
    def is_system(self) -> bool:
        """Whether the unit reaches across tenants."""
        return self.reason is not None

    def require_system(self, what: str) -> None:
        """Refuse a unit that is confined to a tenant, or has none.

        Raises:
            PermissionDeniedError: *what* reaches across tenants.
        """
        if not self.is_system:
            raise PermissionDeniedError(f"{what} needs a system unit of work")

    def owner(self, tenant_id: UUID | None) -> UUID:
        """Return the tenant that a verb writes for.

        Raises:
            TenantRequiredError: Neither the unit nor the argument names one.
            TenantMismatchError: They name different ones.
        """
        owner = self.filter(tenant_id)
        if owner is None:
            raise TenantRequiredError("the verb needs a tenant: pass tenant_id")
        return owner

    def filter(self, tenant_id: UUID | None) -> UUID | None:
        """Return the tenant that a verb reads; None for all of them, in a system unit alone.

        Raises:
            InvalidValueError: It is no UUID.
            TenantRequiredError: As of `owner`.
            TenantMismatchError: As of `owner`.
        """
        if tenant_id is not None:
            check_tenant(tenant_id)
        if self.tenant is not None and tenant_id not in {None, self.tenant}:
            raise TenantMismatchError("the unit of work belongs to another tenant")
        if self.tenant is None and self.reason is None:
            raise TenantRequiredError("the unit of work has no tenant")
        return self.tenant or tenant_id


def check_tenant(value: object) -> None:
    """Refuse what is no id of a tenant.

    Raises:
        InvalidValueError: It is none.
    """
    if not isinstance(value, UUID):
        raise InvalidValueError("a tenant is given by its UUID")


def bind_scope(session: Session, scope: Scope) -> None:
    """Confine *session* to *scope* for the rest of its life.

    Raises:
        TenantMismatchError: The session is already confined to another scope.
    """
    present: Scope | None = session.info.get(_KEY)
    if present is not None and (present.tenant, present.is_system) != (
        scope.tenant,
        scope.is_system,
    ):
        raise TenantMismatchError("the session already belongs to another unit of work")
    session.info[_KEY] = scope


def scope_of(session: Session) -> Scope | None:
    """Return what *session* is confined to, None where no unit of work uses it."""
    scope: Scope | None = session.info.get(_KEY)
    return scope
