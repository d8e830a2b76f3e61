"""Checks what a session writes: the owner of each row, and that its references stay with it.

The schema ties most references by foreign keys that know nothing of tenants, so a row of one tenant
could point to another's. The check is one SELECT for each referenced table of a flush.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, event, inspect, select, true
from sqlalchemy.orm import Session, UOWTransaction

from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.orm import Base, Tenancy, TenancyClass
from agentdb.tenancy.predicates import belongs, declaration, model_of, table_of, tenant_value
from agentdb.tenancy.scope import Scope, scope_of

# Below the limits on bound parameters of both databases, which start at 32,766
# (https://www.sqlite.org/limits.html, SQLITE_MAX_VARIABLE_NUMBER).
KEYS_PER_STATEMENT = 5_000

_OWNED = {TenancyClass.DIRECT, TenancyClass.OPTIONAL}
_MEMBERSHIPS = "tenant_user_memberships"
_MADE_BY_SYSTEM = {"tenant_accounts", "users"}


@dataclass(frozen=True, slots=True)
class Write:
    """A row about to be written.

    Attributes:
        model: Its class.
        values: Its known columns.
        changed: The columns that the write sets; None for a new row: all of them.
    """

    model: type[Base]
    values: Mapping[str, Any]
    changed: frozenset[str] | None = None

    @property
    def tenancy(self) -> Tenancy:
        """How the row belongs."""
        return self.model.__tenancy__

    @property
    def tenant(self) -> UUID | None:
        """The tenant that the row itself names."""
        value = self.values.get(self.tenancy.column or "")
        if self.tenancy.kind not in _OWNED or value is None:
            return None
        return _parsed(value) if self.tenancy.as_text else value


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidValueError("a tenant is named by the text of its UUID") from None


def guard(session: Session) -> None:
    """Check all further flushes of *session*; once for each session."""
    if not event.contains(session, "before_flush", _before_flush):
        event.listen(session, "before_flush", _before_flush)


def _before_flush(session: Session, _context: UOWTransaction, _instances: object) -> None:
    scope = scope_of(session)
    if scope is None:
        return
    new = [_write(row) for row in session.new if isinstance(row, Base)]
    dirty = [_write(row, changed=_changed(row)) for row in session.dirty if isinstance(row, Base)]
    gone = [_write(row, changed=frozenset()) for row in session.deleted if isinstance(row, Base)]
    check_writes(session, scope, [*new, *(w for w in dirty if w.changed), *gone])


def _write(row: Base, changed: frozenset[str] | None = None) -> Write:
    loaded = {
        a.key: row.__dict__[a.key] for a in inspect(type(row)).column_attrs if a.key in row.__dict__
    }
    return Write(type(row), loaded, changed)


def _changed(row: Base) -> frozenset[str]:
    state = inspect(row)
    columns = state.mapper.column_attrs
    return frozenset(a.key for a in columns if state.attrs[a.key].history.has_changes())


def check_writes(session: Session, scope: Scope, writes: Iterable[Write]) -> None:
    """Refuse rows of another tenant, and references that leave the tenant of their row.

    Args:
        session: Reads the referenced rows: one SELECT for each table and tenant.
        scope: What the unit of work may touch.
        writes: The rows; they may refer to each other.

    Raises:
        TenantRequiredError: The unit of work has no tenant.
        TenantMismatchError: A row names another tenant, or would change its own.
        PermissionDeniedError: The table is written by system units alone.
        NotFoundError: A reference leads to another tenant or nowhere.
    """
    writes = list(writes)
    for write in writes:
        check_owner(scope, write)
    wanted: dict[tuple[Column[Any], UUID], set[Any]] = defaultdict(set)
    for write in writes:
        for target, tenant, key in _references(scope, write):
            wanted[target, tenant].add(key)
    for (target, tenant), keys in wanted.items():
        missing = keys - _made(writes, target)
        if missing:
            _require(session, target, tenant, missing)


def _made(writes: Iterable[Write], target: Column[Any]) -> set[Any]:
    """Return the keys that the same flush makes; the owner of those rows is checked like any."""
    new = (w for w in writes if w.changed is None and w.model.__tablename__ == target.table.name)
    return {w.values.get(target.key) for w in new}


def check_owner(scope: Scope, write: Write) -> None:
    """Refuse a row that a unit of work of *scope* may not write."""
    name = write.model.__tablename__
    if scope.is_system:
        return
    if scope.tenant is None:
        raise TenantRequiredError(f"{name} was written by a unit of work without a tenant")
    tenancy = write.tenancy
    if tenancy.column is None or (name in _MADE_BY_SYSTEM and write.changed is None):
        raise PermissionDeniedError(f"{name} is written by system units alone")
    own = tenant_value(tenancy, scope.tenant)
    # A new row without its owner is nobody's; of a stored one the owner may not be loaded.
    named = write.values.get(tenancy.column, None if write.changed is None else own)
    if tenancy.kind in _OWNED and named != own:
        raise TenantMismatchError(f"a row of {name} names another tenant")
    if write.changed:
        _refuse_takeover(name, write.changed, tenancy)


def _refuse_takeover(name: str, changed: frozenset[str], tenancy: Tenancy) -> None:
    """Refuse a tenant's unit what would give it, or its members, more than is theirs."""
    owner = {tenancy.column, "user_id"} if name == _MEMBERSHIPS else {tenancy.column}
    if changed & owner:
        # A stored row that changes hands might be another tenant's in disguise.
        raise TenantMismatchError(f"a row of {name} stays with its owner")
    if name == "users" and "platform_role" in changed:
        raise PermissionDeniedError("a platform role is given by a system unit")


def _references(scope: Scope, write: Write) -> Iterator[tuple[Column[Any], UUID, Any]]:
    """Yield what a row refers to: the column, the tenant it must lie in, and the key."""
    tenant = scope.tenant or write.tenant
    if tenant is None:
        return
    for name, target in _tied_columns(write.model).items():
        key = write.values.get(name)
        if key is None or not _is_checked(scope, write, name, target):
            continue
        yield target, tenant, key


def _is_checked(scope: Scope, write: Write, name: str, target: Column[Any]) -> bool:
    if write.changed is not None and name not in write.changed | {write.tenancy.column}:
        return False
    # A system unit writes history too: of people who have left the tenant since.
    return scope.tenant is not None or target.table.name != "users"


def _tied_columns(model: type[Base]) -> dict[str, Column[Any]]:
    """Return the columns of a table that refer to rows of a tenant, and what they refer to."""
    name = model.__tablename__
    if name not in _TIED:
        _TIED[name] = dict(_find_tied(model, table_of(model)))
    return _TIED[name]


_TIED: dict[str, dict[str, Column[Any]]] = {}


def _find_tied(model: type[Base], table: Table) -> Iterator[tuple[str, Column[Any]]]:
    tenancy = model.__tenancy__
    for column in table.columns:
        # A membership is what makes its user one of the tenant's.
        for key in column.foreign_keys if table.name != _MEMBERSHIPS else ():
            if key.column.table.name != "tenant_accounts" and _belongs_to_one(key.column.table):
                yield column.key, key.column
    if tenancy.kind is TenancyClass.PARENT:
        yield str(tenancy.column), Base.metadata.tables[str(tenancy.parent)].c.id
    if table.name == "users":
        yield "id", table.c.id


def _belongs_to_one(table: Table) -> bool:
    tenancy = declaration(table.name)
    return tenancy is not None and tenancy.column is not None


def _require(session: Session, target: Column[Any], tenant: UUID, keys: set[Any]) -> None:
    condition = belongs(target.table.c, model_of(target.table.name).__tenancy__, tenant)
    wanted = list(keys)
    for start in range(0, len(wanted), KEYS_PER_STATEMENT):
        chunk = wanted[start : start + KEYS_PER_STATEMENT]
        query = select(target).where(target.in_(chunk), true() if condition is None else condition)
        # On the connection: the session would flush first, and this is a flush.
        if set(chunk) - set(session.connection().execute(query).scalars()):
            raise NotFoundError(f"a reference to {target.table.name} leads nowhere")
