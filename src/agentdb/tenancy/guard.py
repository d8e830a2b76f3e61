"""Checks what a session writes: the owner of each row, and that its references stay with it.

The schema ties most references by foreign keys that know nothing of tenants, so a row of one tenant
could point to another's. The check is one SELECT for each referenced table of a flush.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    event,
    inspect,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import RelationshipDirection, Session, UOWTransaction

from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.orm import Base, Tenancy, TenancyClass
from agentdb.tenancy.predicates import (
    MEMBERSHIPS,
    belongs,
    model_of,
    owned,
    table_of,
    tenant_value,
)
from agentdb.tenancy.references import (
    belongs_to_one,
    references_of,
    tied_columns,
    ties,
    user_named,
    users_as_text,
)
from agentdb.tenancy.scope import Scope, scope_of

# Below the limits on bound parameters of both databases, which start at 32,766
# (https://www.sqlite.org/limits.html, SQLITE_MAX_VARIABLE_NUMBER).
KEYS_PER_STATEMENT = 5_000

KEPT = {"tenant_accounts", "users"}
"""Tables of which a tenant's unit makes no row, and deletes none: rows of other tenants might go
with it."""

_OWNED = {TenancyClass.DIRECT, TenancyClass.OPTIONAL}
_STAYING = {TenancyClass.DIRECT, TenancyClass.PARENT}
_ATTACHED = "agentdb.attached"
_BULK = ("bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings")


@dataclass(frozen=True, slots=True)
class Write:
    """A row about to be written.

    Attributes:
        model: Its class.
        values: Its known columns.
        changed: The columns that the write sets; None for a new row: all of them.
        deleted: Whether the row is about to be deleted.
    """

    model: type[Base]
    values: Mapping[str, Any]
    changed: frozenset[str] | None = None
    deleted: bool = False

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


def guard(session: Session | type[Session]) -> None:
    """Check all further flushes of *session*, or of a class; once for each."""
    if event.contains(session, "before_flush", _before_flush):
        return
    event.listen(session, "before_flush", _before_flush)
    event.listen(session, "detached_to_persistent", _note_attached)
    for name in _BULK:
        # These send no event at all. Replaced on the object, as the session may be the host's.
        setattr(session, name, _refuse_bulk)


def _refuse_bulk(*_: object, **__: object) -> NoReturn:
    raise PermissionDeniedError("bulk methods of a session check nothing: use add_many")


def _note_attached(_session: Session, row: object) -> None:
    """Note a row that the session has not read itself: it may be another than it says."""
    inspect(row).info[_ATTACHED] = True


def trust(row: object) -> None:
    """Note that an attached row holds what the database has just answered to this session."""
    inspect(row).info.pop(_ATTACHED, None)


def _before_flush(session: Session, _context: UOWTransaction, _instances: object) -> None:
    scope = scope_of(session)
    if scope is None:
        return
    new = [_write(row) for row in session.new if isinstance(row, Base)]
    dirty = [row for row in session.dirty if isinstance(row, Base) and _changed(row)]
    gone = [row for row in session.deleted if isinstance(row, Base)]
    writes = [*new, *(_write(row, changed=_changed(row)) for row in dirty)]
    writes += [_write(row, changed=frozenset(), deleted=True) for row in gone]
    check_writes(session, scope, writes)
    if scope.tenant is not None:
        _check_attached(session, scope.tenant, [*dirty, *gone])


def _write(row: Base, changed: frozenset[str] | None = None, *, deleted: bool = False) -> Write:
    loaded = {
        a.key: row.__dict__[a.key] for a in inspect(type(row)).column_attrs if a.key in row.__dict__
    }
    return Write(type(row), {**loaded, **_moved(row)}, changed, deleted)


def _changed(row: Base) -> frozenset[str]:
    state = inspect(row)
    columns = state.mapper.column_attrs
    written = {a.key for a in columns if state.attrs[a.key].history.has_changes()}
    return frozenset(written.union(_moved(row)))


def _moved(row: Base) -> dict[str, Any]:
    """Return the keys that the flush will take from parents which were set as objects."""
    state = inspect(row)
    moved: dict[str, Any] = {}
    for relationship in state.mapper.relationships:
        if relationship.direction is not RelationshipDirection.MANYTOONE:
            continue
        for parent in state.attrs[relationship.key].history.added or ():
            for local, remote in relationship.local_remote_pairs:
                value = None if parent is None else getattr(parent, str(remote.key))
                moved[state.mapper.get_property_by_column(local).key] = value
    return moved


def _check_attached(session: Session, tenant: UUID, rows: Iterable[Base]) -> None:
    """Refuse to write rows that the session has not read, unless they are the tenant's."""
    attached: dict[type[Base], list[Any]] = defaultdict(list)
    for row in rows:
        state = inspect(row)
        if state.info.get(_ATTACHED):
            attached[type(row)].append(state.identity)
    for model, keys in attached.items():
        table = table_of(model)
        condition = owned(table.c, model.__tenancy__, tenant)
        _require(session, list(table.primary_key), keys, true() if condition is None else condition)


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
        InvalidValueError: A reference is a collection.
    """
    writes = list(writes)
    for write in writes:
        check_owner(scope, write)
    wanted: dict[tuple[Column[Any], UUID], set[Any]] = defaultdict(set)
    for write, tenant in _tenants(session, scope, writes):
        for target, key in _references(scope, write):
            if not belongs_to_one(target.table):
                raise _nowhere(target.table)
            if not isinstance(key, Hashable):
                raise InvalidValueError(f"a reference to {target.table.name} is one key")
            wanted[target, tenant].add(key)
    for (target, tenant), referred in wanted.items():
        missing = referred - _made(writes, target, tenant)
        if missing:
            condition = belongs(target.table.c, model_of(target.table.name).__tenancy__, tenant)
            keys = [(key,) for key in missing]
            _require(session, [target], keys, true() if condition is None else condition)


def _made(writes: Iterable[Write], target: Column[Any], tenant: UUID) -> set[Any]:
    """Return the keys of a tenant's rows that the same flush makes; their owner is checked too."""
    new = (w for w in writes if w.changed is None and w.model.__tablename__ == target.table.name)
    return {w.values.get(target.key) for w in new if w.tenant in {None, tenant}}


def _tenants(
    session: Session, scope: Scope, writes: Sequence[Write]
) -> Iterator[tuple[Write, UUID]]:
    """Yield each write with the tenant that its references must lie in, where there is one."""
    for write in writes:
        tenant = scope.tenant or write.tenant
        if tenant is None and write.tenancy.kind is TenancyClass.PARENT:
            tenant = _tenant_of_parent(session, write, writes)
        if tenant is not None:
            yield write, tenant


def _tenant_of_parent(session: Session, write: Write, writes: Iterable[Write]) -> UUID | None:
    """Return the tenant of the parent of a row that a system unit writes."""
    key = write.values.get(str(write.tenancy.column))
    if key is None or not any(_is_set(write, name) for name in tied_columns(write.model)):
        return None
    parent = model_of(str(write.tenancy.parent))
    for other in writes:
        if other.model is parent and other.values.get("id") == key:
            return other.tenant
    columns = table_of(parent).c
    owner = columns[str(parent.__tenancy__.column)]
    found = session.connection().execute(select(owner).where(columns.id == key)).scalar()
    return Write(parent, {str(parent.__tenancy__.column): found}).tenant


def _is_set(write: Write, name: str) -> bool:
    return write.values.get(name) is not None and (write.changed is None or name in write.changed)


def check_owner(scope: Scope, write: Write) -> None:
    """Refuse a row that a unit of work of *scope* may not write."""
    name = write.model.__tablename__
    if scope.is_system:
        _refuse_move(write)
        return
    if scope.tenant is None:
        raise TenantRequiredError(f"{name} was written by a unit of work without a tenant")
    tenancy = write.tenancy
    is_new = write.changed is None
    is_kept = name in KEPT and (is_new or write.deleted)
    if tenancy.column is None or is_kept:
        raise PermissionDeniedError(f"{name} is written by system units alone")
    own = tenant_value(tenancy, scope.tenant)
    # A new row without its owner is nobody's; of a stored one the owner may not be loaded.
    named = write.values.get(tenancy.column, None if is_new else own)
    if tenancy.kind in _OWNED and named != own:
        raise TenantMismatchError(f"a row of {name} names another tenant")
    if write.changed:
        refuse_takeover(name, write.changed, tenancy)


def _refuse_move(write: Write) -> None:
    """Refuse a system unit what would take a row to another tenant, away from what it is tied to.

    Rows that may belong to nobody are given an owner; their references are checked with it.
    """
    if write.tenancy.kind in _STAYING and write.tenancy.column in (write.changed or ()):
        raise TenantMismatchError(f"a row of {write.model.__tablename__} stays with its owner")


def refuse_takeover(name: str, changed: frozenset[str], tenancy: Tenancy) -> None:
    """Refuse a tenant's unit what would give it, or its members, more than is theirs."""
    owner = {tenancy.column, "user_id"} if name == MEMBERSHIPS else {tenancy.column}
    if changed & owner:
        # A stored row that changes hands might be another tenant's in disguise.
        raise TenantMismatchError(f"a row of {name} stays with its owner")
    if name == "users" and "platform_role" in changed:
        raise PermissionDeniedError("a platform role is given by a system unit")


def _references(scope: Scope, write: Write) -> Iterator[tuple[Column[Any], Any]]:
    """Yield what a row refers to: the column, and the key that it holds there."""
    for name, target in references_of(write.model).items():
        key = write.values.get(name)
        if name in users_as_text(write.model.__tablename__):
            key = user_named(key)
        if key is not None and _is_checked(scope, write, name, target):
            yield target, key


def _is_checked(scope: Scope, write: Write, name: str, target: Column[Any]) -> bool:
    owner = write.tenancy.column
    if write.changed is not None and not write.changed & {name, owner} and name != owner:
        return False
    return scope.tenant is not None or ties(target.table)


def _nowhere(table: Table) -> NotFoundError:
    return NotFoundError(f"a reference to {table.name} leads nowhere")


def _require(
    session: Session,
    key: Sequence[Column[Any]],
    keys: Iterable[tuple[Any, ...]],
    condition: ColumnElement[bool],
) -> None:
    """Refuse keys of a table whose rows do not exist or do not meet a condition."""
    wanted = list(keys)
    for start in range(0, len(wanted), KEYS_PER_STATEMENT):
        chunk = wanted[start : start + KEYS_PER_STATEMENT]
        among = key[0].in_([k for (k,) in chunk]) if len(key) == 1 else tuple_(*key).in_(chunk)
        # On the connection: the session would flush first, and this is a flush.
        found = session.connection().execute(select(*key).where(among, condition))
        if set(chunk) - {tuple(row) for row in found}:
            raise _nowhere(key[0].table)
