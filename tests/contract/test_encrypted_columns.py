"""Which columns are encrypted: the rotation of keys walks over them, and over no others."""

from __future__ import annotations

import pytest

from agentdb.crypto import ENCRYPTED, EncryptedColumn
from agentdb.orm import Base
from agentdb.tenancy.predicates import model_of, table_of
from agentdb.types import LargeBinary, Uuid

every_column = pytest.mark.parametrize("column", ENCRYPTED, ids=lambda c: f"{c.table}.{c.name}")


def test_every_encrypted_column_is_declared() -> None:
    """A new one, by its name or because it holds bytes, fails here until it is in the list."""
    found = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("_encrypted") or isinstance(column.type, LargeBinary)
    }

    assert found == {(column.table, column.name) for column in ENCRYPTED}
    assert len(found) == len(ENCRYPTED)


@every_column
def test_an_encrypted_column_is_as_the_rotation_needs_it(column: EncryptedColumn) -> None:
    """One UUID as key, a UUID as owner, bytes, and a stamp of the last write to keep."""
    table = table_of(model_of(column.table))
    (key,) = table.primary_key.columns

    assert key.name == "id"
    assert isinstance(key.type, Uuid)
    assert isinstance(table.c[column.owner].type, Uuid)
    assert isinstance(table.c[column.name].type, LargeBinary)
    assert "updated_at" in table.c


@every_column
def test_an_encrypted_column_is_a_secret(column: EncryptedColumn) -> None:
    """No Read schema shows it."""
    assert column.name in model_of(column.table).__secrets__
