"""What the columns of the tables refer to, by foreign keys and without them."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Column, Table, inspect
from sqlalchemy.schema import sort_tables

from agentdb import models
from agentdb.conversations.models import AgentConversation
from agentdb.orm import Base, TenancyClass

BY_WORD: dict[tuple[str, str], str] = {
    ("workflow_runs", "user_id"): "users",
    ("status_subscriptions", "created_by"): "users",
    ("activity_events", "actor_id"): "users",
    ("activity_last_seen", "last_seen_event_id"): "activity_events",
}
"""References that the schema does not know, and the table whose key they hold."""


class Target(NamedTuple):
    """What a column refers to.

    Attributes:
        table: The other table.
        attribute: The attribute of its model that the column holds.
    """

    table: str
    attribute: str


def table_of(model: type[Base]) -> Table:
    """Return the table of a model."""
    return cast("Table", model.__table__)


@cache
def models_by_table() -> dict[str, type[Base]]:
    """Return the model of each table, parents first."""
    mapped = {mapper.class_.__tablename__: mapper.class_ for mapper in models.Base.registry.mappers}
    tables = models.Base.metadata.tables
    said = [(tables[parent], tables[table]) for (table, _), parent in BY_WORD.items()]
    for name, model in mapped.items():
        if model.__tenancy__.column not in {None, "id"}:
            parent = model.__tenancy__.parent or "tenant_accounts"
            said.append((tables[parent], tables[name]))
    ordered = sort_tables(tables.values(), extra_dependencies=said)
    return {table.name: mapped[table.name] for table in ordered}


def attribute_of(column: Column[Any]) -> str:
    """Return the attribute that a column is mapped to."""
    model = models_by_table()[column.table.name]
    return inspect(model).get_property_by_column(column).key


def target_of(column: Column[Any]) -> Target | None:
    """Return what a column refers to, None if it refers to nothing."""
    table = column.table.name
    tenancy = models_by_table()[table].__tenancy__
    for key in column.foreign_keys:
        return Target(key.column.table.name, key.column.name)
    if column.name == tenancy.column and table not in {"tenant_accounts", "users"}:
        return Target(tenancy.parent or "tenant_accounts", "id")
    found = BY_WORD.get((table, column.name))
    return None if found is None else Target(found, "id")


def key_in(column: Column[Any], row: Base, target: Target) -> Any:
    """Return what *column* holds when it refers to *row*."""
    return as_held(column, getattr(row, target.attribute))


def as_held(column: Column[Any], key: object) -> Any:
    """Return a key as *column* holds it: some hold the text of a UUID."""
    return str(key) if isinstance(key, UUID) and column.type.python_type is str else key


def references(model: type[Base]) -> dict[str, tuple[Column[Any], Target]]:
    """Return the columns of a model that refer to other tables, by attribute."""
    return _references(model.__tablename__)


def columns(model: type[Base]) -> dict[str, Column[Any]]:
    """Return the columns of a model that can be written, by attribute."""
    return _columns(model.__tablename__)


def parameters(model: type[Base]) -> dict[str, str]:
    """Return the names that a factory takes for a model, and the attribute that each stands for.

    A reference goes by its column, with or without ``_id``. Rows of people, and rows that belong by
    a parent, have no column for the tenant: there ``tenant`` says whose parents are made. The
    host's ``key`` of a conversation is a part of its column.
    """
    names = {name: name for name in columns(model)}
    names |= {name.removesuffix("_id"): name for name in references(model)}
    if model.__tenancy__.kind in {TenancyClass.IDENTITY, TenancyClass.PARENT}:
        names |= {"tenant": "tenant_id", "tenant_id": "tenant_id"}
    if model is AgentConversation:
        names["key"] = "key"
    return names


@cache
def _references(table: str) -> dict[str, tuple[Column[Any], Target]]:
    found = ((column, target_of(column)) for column in _columns(table).values())
    return {attribute_of(column): (column, target) for column, target in found if target}


@cache
def _columns(table: str) -> dict[str, Column[Any]]:
    written = (c for c in table_of(models_by_table()[table]).columns if c.computed is None)
    return {attribute_of(column): column for column in written}
