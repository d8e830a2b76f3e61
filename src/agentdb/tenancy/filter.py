"""Confines every statement of a session to the tenant of its unit of work."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Insert, TableClause, Update, event
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session
from sqlalchemy.sql.base import Executable
from typing_extensions import override

from agentdb.errors import PermissionDeniedError, TenantRequiredError
from agentdb.orm import Base, Tenancy, TenancyClass
from agentdb.tenancy.guard import KEPT, refuse_takeover
from agentdb.tenancy.predicates import belongs, declaration, model_of, owned, table_of
from agentdb.tenancy.references import users_as_text
from agentdb.tenancy.scope import Scope, scope_of
from agentdb.tenancy.tables import UsedTables, tables_of

CONFINED = "agentdb_confined"
"""Execution option of a statement that names its tenant itself: the hot verbs, which run on bare
tables. Nothing else may set it."""

CHECKED = "agentdb_checked"
"""Execution option of an UPDATE whose new references were checked; it is filtered like any."""


class _Criterion(LoaderCriteriaOption):
    """A condition on all rows of a class, its aliases included.

    Where an alias is the target of a JOIN, SQLAlchemy 2.1 takes the condition as it is, about the
    columns of the class and not of the alias (``_join_left_to_right``): the alias would be free.
    """

    _traverse_internals = LoaderCriteriaOption._traverse_internals  # noqa: SLF001 -- the cache key

    def __init__(self, model: type[Base], condition: ColumnElement[bool]) -> None:
        super().__init__(model, condition, include_aliases=True)

    @override
    def _resolve_where_criteria(self, ext_info: Any) -> ColumnElement[bool]:
        condition = super()._resolve_where_criteria(ext_info)
        if not ext_info.is_aliased_class:
            return condition
        adapted: ColumnElement[bool] = ext_info._adapter.traverse(condition)  # noqa: SLF001
        return adapted


def confine(session: Session | type[Session]) -> None:
    """Filter all further statements of *session*, or of a class; once for each."""
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
    if isinstance(statement, Update | Delete):
        _refuse_target(statement)
    if used.bare or not state.is_orm_statement:
        named = ", ".join(sorted(used.bare or used.names))
        raise PermissionDeniedError(f"select mapped classes in a tenant's unit, of {named}")
    if isinstance(statement, Update) and not state.execution_options.get(CHECKED):
        _refuse_update(statement, state.parameters)


def _refuse_target(statement: Update | Delete) -> None:
    if not isinstance(statement.table, TableClause):
        # SQLAlchemy would put the class beside its alias, and the condition on the class.
        raise PermissionDeniedError("update or delete a mapped class, not an alias of one")
    if isinstance(statement, Delete) and statement.table.name in KEPT:
        raise PermissionDeniedError(f"{statement.table.name} is deleted from by system units alone")


def _refuse_update(statement: Update, parameters: Any) -> None:
    if isinstance(parameters, list):
        raise PermissionDeniedError("an UPDATE by a list of keys is not confined to the tenant")
    name = str(getattr(statement.table, "name", ""))
    values: dict[Any, Any] = statement.__dict__.get("_values") or {}
    moved = {str(getattr(column, "key", column)) for column in [*values, *(parameters or ())]}
    refuse_takeover(name, frozenset(moved), declaration(name) or Tenancy.direct())
    bound = moved & references(name)
    if bound:
        raise PermissionDeniedError(f"{', '.join(sorted(bound))}: change it through a repository")


def references(name: str) -> set[str]:
    """Return the columns of a table that tie its rows to others: the owner's and references."""
    model = model_of(name)
    tenancy: Tenancy = model.__tenancy__
    table: Any = model.__table__
    tied = {column.key for column in table.columns if column.foreign_keys}
    return tied | users_as_text(name) | ({tenancy.column} if tenancy.column else set())


def _add_criteria(state: ORMExecuteState, names: frozenset[str], tenant: UUID) -> None:
    for name in sorted(names):
        model = model_of(name)
        condition = owned if _writes(state.statement, name) else belongs
        criterion = condition(model, model.__tenancy__, tenant)
        if criterion is not None:
            state.statement = state.statement.options(_Criterion(model, criterion))
