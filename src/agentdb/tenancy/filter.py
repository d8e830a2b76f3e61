"""Confines every statement of a session to the tenant of its unit of work."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Delete, Insert, Update, event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql.base import Executable

from agentdb.errors import PermissionDeniedError, TenantRequiredError
from agentdb.orm import Tenancy, TenancyClass
from agentdb.tenancy.predicates import belongs, declaration, model_of, owned, table_of
from agentdb.tenancy.scope import Scope, scope_of
from agentdb.tenancy.tables import UsedTables, tables_of

CONFINED = "agentdb_confined"
"""Execution option of a statement that names its tenant itself: the hot verbs, which run on bare
tables. Nothing else may set it."""

CHECKED = "agentdb_checked"
"""Execution option of an UPDATE whose new references were checked; it is filtered like any."""


def confine(session: Session) -> None:
    """Filter all further statements of *session*; once for each session."""
    if not event.contains(session, "do_orm_execute", _on_execute):
        event.listen(session, "do_orm_execute", _on_execute)


def _on_execute(state: ORMExecuteState) -> None:
    scope = scope_of(state.session)
    if scope is None or state.execution_options.get(CONFINED):
        return
    used = tables_of(state.statement)
    if not used.names or scope.is_system:
        return
    for name in used.names:
        _refuse_class(name, scope, writes=_writes(state.statement, name))
    if scope.tenant is None:
        return
    if state.is_column_load:
        _confine_refresh(state, used.names, scope.tenant)
    else:
        _refuse_shape(state, used)
        _add_criteria(state, used.names | used.joined, scope.tenant)


def _confine_refresh(state: ORMExecuteState, names: frozenset[str], tenant: UUID) -> None:
    """Confine a reload by key, which runs on the bare table and takes no loader criteria."""
    statement: Any = state.statement
    for name in names:
        model = model_of(name)
        condition = belongs(table_of(model).c, model.__tenancy__, tenant)
        statement = statement if condition is None else statement.where(condition)
    state.statement = statement


def _writes(statement: Executable, name: str) -> bool:
    return isinstance(statement, Insert | Update | Delete) and (
        getattr(statement.table, "name", None) == name
    )


def _refuse_class(name: str, scope: Scope, *, writes: bool) -> None:
    tenancy = declaration(name)
    kind = None if tenancy is None else tenancy.kind
    if kind is TenancyClass.SHARED:
        if writes:
            raise PermissionDeniedError(f"{name} is written by system units alone")
    elif scope.tenant is None:
        raise TenantRequiredError(f"{name} was touched by a unit of work without a tenant")
    elif kind is TenancyClass.SYSTEM:
        raise PermissionDeniedError(f"{name} is for system units alone")


def _refuse_shape(state: ORMExecuteState, used: UsedTables) -> None:
    """Refuse what loader criteria do not reach, rather than let it through unconfined."""
    statement = state.statement
    if isinstance(statement, Insert):
        raise PermissionDeniedError("insert through a repository: add, add_many or upsert")
    if used.bare or not state.is_orm_statement:
        named = ", ".join(sorted(used.bare or used.names))
        raise PermissionDeniedError(f"select mapped classes in a tenant's unit, of {named}")
    if isinstance(statement, Update) and not state.execution_options.get(CHECKED):
        _refuse_update(statement, state.parameters)


def _refuse_update(statement: Update, parameters: Any) -> None:
    if isinstance(parameters, list):
        raise PermissionDeniedError("an UPDATE by a list of keys is not confined to the tenant")
    name = str(getattr(statement.table, "name", ""))
    values: dict[Any, Any] = statement.__dict__.get("_values") or {}
    moved = {str(getattr(column, "key", column)) for column in [*values, *(parameters or ())]}
    bound = moved & references(name)
    if bound:
        raise PermissionDeniedError(f"{', '.join(sorted(bound))}: change it through a repository")


def references(name: str) -> set[str]:
    """Return the columns of a table that tie its rows to a tenant: the owner's and foreign keys."""
    model = model_of(name)
    tenancy: Tenancy = model.__tenancy__
    table: Any = model.__table__
    tied = {column.key for column in table.columns if column.foreign_keys}
    return tied | ({tenancy.column} if tenancy.column else set())


def _add_criteria(state: ORMExecuteState, names: frozenset[str], tenant: UUID) -> None:
    for name in sorted(names):
        model = model_of(name)
        condition = owned if _writes(state.statement, name) else belongs
        criterion = condition(model, model.__tenancy__, tenant)
        if criterion is not None:
            option = with_loader_criteria(model, criterion, include_aliases=True)
            state.statement = state.statement.options(option)
