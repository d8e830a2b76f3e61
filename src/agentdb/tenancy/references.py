"""What the columns of a table refer to, as far as not every tenant may name it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table

from agentdb.orm import Base, TenancyClass
from agentdb.tenancy.predicates import declaration, model_of, table_of

_USERS_AS_TEXT = {
    "workflow_runs": frozenset({"user_id", "deleted_by"}),
    "workflow_run_steps": frozenset({"deleted_by"}),
}


def references_of(model: type[Base]) -> dict[str, Column[Any]]:
    """Return the columns of a table that refer to rows which not every tenant may name.

    Rows of the operator are among them, which no tenant names; what all share is not.
    """
    return _references_of(model.__tablename__)


@cache
def _references_of(name: str) -> dict[str, Column[Any]]:
    return dict(_find(model_of(name), table_of(model_of(name))))


def _find(model: type[Base], table: Table) -> Iterator[tuple[str, Column[Any]]]:
    tenancy = model.__tenancy__
    for column in table.columns:
        for key in column.foreign_keys:
            if key.column.table.name != "tenant_accounts" and not _is_shared(key.column.table):
                yield column.key, key.column
        if column.key in users_as_text(table.name):
            yield column.key, Base.metadata.tables["users"].c.id
    if tenancy.kind is TenancyClass.PARENT:
        yield str(tenancy.column), Base.metadata.tables[str(tenancy.parent)].c.id
    if table.name == "users":
        yield "id", table.c.id


def users_as_text(table: str) -> frozenset[str]:
    """Return the columns that name users by the text of their ids, which no foreign key can say."""
    return _USERS_AS_TEXT.get(table, frozenset())


def user_named(text: Any) -> UUID | None:
    """Return the user whom a text names; any other, as for who was deleted, names nobody."""
    try:
        return UUID(text)
    except (TypeError, ValueError, AttributeError):
        return None


def belongs_to_one(table: Table) -> bool:
    """Whether each row of a table is a tenant's, or a person's."""
    tenancy = declaration(table.name)
    return tenancy is not None and tenancy.column is not None


def _is_shared(table: Table) -> bool:
    tenancy = declaration(table.name)
    return tenancy is None or tenancy.kind is TenancyClass.SHARED


def ties(table: Table) -> bool:
    """Whether a system unit, too, keeps references to a table in the tenant of the row.

    It writes history, of people who have left the tenant since, and the operator's rows are its
    own.
    """
    return table.name != "users" and belongs_to_one(table)


def tied_columns(model: type[Base]) -> set[str]:
    """Return the columns whose references a system unit, too, keeps in the tenant of the row."""
    tied = {name for name, to in references_of(model).items() if ties(to.table)}
    return tied - {model.__tenancy__.column}
