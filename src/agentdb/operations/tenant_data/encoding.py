"""Values of rows as JSON has them, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table
from sqlalchemy.types import TypeEngine

from agentdb.errors import InvalidValueError
from agentdb.operations.tenant_data.tables import stored_columns
from agentdb.types import Date, JSONCompat, JsonObject, LargeBinary, UTCDateTime, Uuid
from agentdb.types.json import JsonText

MARKER = "redacted:"
"""What a hidden column that cannot be NULL begins with; the key of the row follows, as some of
these columns are unique."""


def encode_row(table: Table, row: Mapping[str, Any], hidden: Collection[str]) -> JsonObject:
    """Return a row as JSON has it: UUIDs and instants as text, bytes in base64, JSON as it is."""
    return {
        column.name: _hide(column, row) if column.name in hidden else _encode(row[column.name])
        for column in stored_columns(table)
    }


def _hide(column: Column[Any], row: Mapping[str, Any]) -> str | None:
    if column.nullable:
        return None
    text = f"{MARKER}{row['id']}"
    return _encode(text.encode()) if isinstance(column.type, LargeBinary) else text


def is_hidden(row: Mapping[str, Any], column: str) -> bool:
    """Return whether *column* of a decoded row holds what an export puts in place of a secret."""
    return row.get(column) == f"{MARKER}{row['id']}"


def _encode(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    return b64encode(value).decode() if isinstance(value, bytes) else value


def decode_row(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as its table takes it, each value checked as its column checks it.

    Raises:
        InvalidValueError: Columns are missing or unknown, or a value is refused.
    """
    columns = stored_columns(table)
    names = {column.name for column in columns}
    if names != set(row):
        raise InvalidValueError(f"a row of {table.name} has not the columns of the table")
    return {column.name: _decode(column, row[column.name]) for column in columns}


def _decode(column: Column[Any], value: Any) -> Any:
    kind: Any = column.type
    if value is None:
        if column.nullable:
            return None
        raise InvalidValueError("may not be NULL", **kind.place)
    checked = kind.check(_parsed(kind, value))
    return JsonText(checked) if isinstance(kind, JSONCompat) else checked


def _parsed(kind: TypeEngine[Any], value: Any) -> Any:
    """Return what the text of a value says; a column refuses what is no such text."""
    parse = _PARSERS.get(type(kind))
    if parse is None or type(value) is not str:
        return value
    try:
        return parse(value)
    except ValueError:
        return value


_PARSERS: Mapping[type[Any], Callable[[str], Any]] = {
    Uuid: UUID,
    UTCDateTime: datetime.fromisoformat,
    Date: date.fromisoformat,
    LargeBinary: partial(b64decode, validate=True),
}
