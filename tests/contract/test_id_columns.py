"""Every column that holds an id is known by what it may refer to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Column

from agentdb.orm import Base, TenancyClass
from tests.rows import MODELS, attribute_of, table_of
from tests.tenancy.operations import OF_DATABASE, OF_SYSTEM, OPERATIONS, named_operations
from tests.tenancy.references import (
    REFERENCES,
    UNKEYED,
    Kind,
    Reference,
    holds_id,
    kind_of,
)

COLUMNS: list[Column[Any]] = [
    column for model in MODELS.values() for column in table_of(model).columns if holds_id(column)
]


def named(column: Column[Any]) -> tuple[str, str]:
    """Return the table and the name of a column."""
    return column.table.name, column.name


def is_keyed(column: Column[Any]) -> bool:
    """Whether its table or a foreign key says what it holds."""
    return bool(column.foreign_keys) or (column.primary_key and column.name == "id")


def test_somebody_has_said_what_every_id_refers_to() -> None:
    """A new column with an id fails here, until tests/tenancy/references.py says what it holds."""
    assert {named(c) for c in COLUMNS if not is_keyed(c)} == set(UNKEYED)


def test_all_foreign_keys_are_looked_at() -> None:
    """The 72 of them, each of one kind."""
    keyed = [column for column in COLUMNS if column.foreign_keys]
    found = Counter(kind_of(column) for column in keyed)

    assert len([key for table in Base.metadata.tables.values() for key in table.foreign_keys]) == 72
    assert found.total() == 72
    assert set(found) == {Kind.OWNER, Kind.TIE, Kind.PERSON, Kind.CATALOGUE, Kind.OPERATOR} | {
        Kind.RECORD
    }


def test_a_foreign_key_to_a_tenant_that_owns_nothing_is_the_operators() -> None:
    """Only an invite names a tenant as what issued it, in a table of system units."""
    recorded = [c for c in COLUMNS if c.foreign_keys and kind_of(c) is Kind.RECORD]

    assert [named(c) for c in recorded] == [("tenant_signup_invites", "issuer_tenant_id")]


def test_every_table_of_tenants_names_its_owner() -> None:
    """The column by which rows belong is an owner, a parent or a person."""
    for name, model in MODELS.items():
        owner = model.__tenancy__.column
        if owner is None or owner == "id":
            continue
        column = next(c for c in table_of(model).columns if attribute_of(c) == owner)
        kinds = {TenancyClass.PARENT: Kind.TIE, TenancyClass.IDENTITY: Kind.PERSON}
        expected = kinds.get(model.__tenancy__.kind, Kind.OWNER)

        assert kind_of(column) is expected, name


def test_what_a_tenant_may_not_name_is_tested() -> None:
    """All ties, people and rows of the operator in tables that tenants write, but memberships."""
    operator = {TenancyClass.SYSTEM, TenancyClass.SHARED}
    guarded = {Kind.TIE, Kind.PERSON, Kind.OPERATOR}
    expected = {
        Reference(*named(c), kind_of(c))
        for c in COLUMNS
        if kind_of(c) in guarded and MODELS[c.table.name].__tenancy__.kind not in operator
    }

    left = expected - set(REFERENCES)
    assert {(r.table, r.attribute) for r in left} == {("tenant_user_memberships", "user_id")}


def test_every_operation_is_led_to_another_tenant_or_is_the_operators() -> None:
    """Whoever adds an operation says in tests/tenancy/operations.py with what it is called."""
    assert {*OPERATIONS, *OF_SYSTEM, *OF_DATABASE} == named_operations()
