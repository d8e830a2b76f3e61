"""Which tables of our names a database has, and whether they are ours."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table, inspect

from agentdb.search_path import mapped_schema


def _ours() -> Mapping[str, Table]:
    from agentdb.models import Base  # noqa: PLC0415 -- maps all tables

    return Base.metadata.tables


def table_names() -> list[str]:
    """Return the names of the 46 tables, parents first."""
    return list(_ours())


def missing_tables(connection: Connection) -> list[str]:
    """Return those of our tables that the database does not have."""
    found = set(inspect(connection).get_table_names(schema=mapped_schema(connection)))
    return [name for name in table_names() if name not in found]


def tables_of_our_names(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the tables that have one of our names: first those that are not ours, then ours.

    A table made by other means, or by an older release, may lack a column or have one more. It is
    ours if it has most of our columns.
    """
    inspector, schema = inspect(connection), mapped_schema(connection)
    present = set(inspector.get_table_names(schema=schema)) & set(table_names())
    if not present:  # no names would mean all tables
        return [], []
    columns = inspector.get_multi_columns(schema=schema, filter_names=sorted(present))
    foreign: list[str] = []
    ours: list[str] = []
    for (_, name), found in sorted(columns.items(), key=lambda item: item[0][1]):
        is_ours = resembles(name, {column["name"] for column in found})
        (ours if is_ours else foreign).append(name)
    return foreign, ours


def resembles(name: str, columns: set[str]) -> bool:
    """Return whether a table that has the name of one of ours has most of its columns."""
    expected = set(_ours()[name].columns.keys())
    return 2 * len(expected & columns) > len(expected)
