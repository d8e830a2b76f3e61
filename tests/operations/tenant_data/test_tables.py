"""Somebody has thought of every table and every column of an export."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column

from agentdb.operations.tenant_data.encoding import decode_row, encode_row
from agentdb.operations.tenant_data.tables import (
    LEFT_OUT,
    LOOSE,
    MAPPED,
    ORDER,
    erased_rows,
    owned_rows,
    references,
    stored_columns,
    table_named,
)
from agentdb.orm import TenancyClass
from agentdb.types import RowId, Uuid
from tests.operations.tenant_data.columns import COLUMNS
from tests.rows import MODELS, attribute_of, rows_of, table_of

ROWS = rows_of("coded")
every_table = pytest.mark.parametrize("name", ORDER)


def test_every_table_is_classified_once() -> None:
    """It is exported, or said to be left out."""
    assert sorted([*ORDER, *LEFT_OUT]) == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_column_is_classified(name: str) -> None:
    """A new column fails here until somebody has looked at it."""
    assert COLUMNS[name].split() == [c.name for c in stored_columns(table_named(name))]


@every_table
def test_parents_come_first(name: str) -> None:
    """What a row refers to is stored before it, but for the parent of a segment."""
    before = {*ORDER[: ORDER.index(name)], *LEFT_OUT, name}
    assert {target.table.name for _, target in references(table_named(name))} <= before


def is_reference(column: Column[Any]) -> bool:
    """Tell whether a column may hold the key of a row, or a name that others gave."""
    looks_so = column.name.endswith("_id") or isinstance(column.type, Uuid | RowId)
    return looks_so and not column.primary_key


@every_table
def test_a_reference_without_a_foreign_key_is_declared(name: str) -> None:
    """It is the owner, refers to a parent, is mapped, or is loose on purpose."""
    table = table_named(name)
    tied = {column for column, _ in references(table)}
    owner = MODELS[name].__tenancy__.column
    for column in stored_columns(table):
        if is_reference(column) and column not in tied and column.name != owner:
            assert f"{name}.{column.name}" in LOOSE | MAPPED


def test_what_is_declared_exists() -> None:
    """No column is declared that was renamed or dropped."""
    for named in LOOSE | MAPPED:
        table, _, column = named.partition(".")
        assert column in table_named(table).columns


@every_table
def test_erasure_takes_what_is_the_tenants_own(name: str) -> None:
    """All exported rows but people, plans and what a member has everywhere."""
    tenant, tenancy = uuid4(), MODELS[name].__tenancy__
    shared = tenancy.kind in {TenancyClass.IDENTITY, TenancyClass.SHARED}
    assert (erased_rows(name, tenant) is None) == shared
    differs = shared or tenancy.shows_members or name == "tenant_signup_invites"
    owned = owned_rows(name, tenant)
    assert differs or str(erased_rows(name, tenant)) == str(owned)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_survives_json(name: str) -> None:
    """Encoded and decoded, each value is what it was."""
    table = table_of(MODELS[name])
    columns = stored_columns(table)
    row = {column.name: getattr(ROWS[name], attribute_of(column)) for column in columns}
    row |= {c.name: 7 for c in columns if row[c.name] is None and isinstance(c.type, RowId)}
    encoded = encode_row(table, row, frozenset())
    decoded = decode_row(table, encoded)
    assert encode_row(table, decoded | json_of(table, row), frozenset()) == encoded


def json_of(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return the documents of a row, which are decoded as the text that is stored."""
    return {c.name: row[c.name] for c in table.columns if type(row.get(c.name)) in (dict, list)}
