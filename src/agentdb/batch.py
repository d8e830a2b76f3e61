"""Rows handed to a statement as one JSON parameter: one round trip, however many there are.

On PostgreSQL an ``INSERT … SELECT … FROM jsonb_to_recordset(…)`` is as fast as COPY from Python,
keeps RETURNING and runs in any transaction; SQLite has ``json_each``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, Integer, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import JSONB

from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types import JSONCompat

ORDINAL = "ordinal"
"""The column that numbers the rows of a batch from 0."""

PARAMETER = "batch"

MAX_BATCH = 200 * 1024 * 1024
"""Bytes of JSON in one statement: PostgreSQL's jsonb holds up to 256 MB of them
(https://www.postgresql.org/docs/current/datatype-json.html), text and all."""


def batch_rows(table: Table, names: Sequence[str], *, postgresql: bool) -> FromClause:
    """Return the rows of the parameter ``batch`` as something to select from.

    Args:
        table: Gives the types of the columns.
        names: Columns that the rows may have; absent ones are NULL.
        postgresql: Which database it is for.
    """
    if postgresql:
        columns = [column(name, table.c[name].type) for name in names]
        document = cast(bindparam(PARAMETER, type_=Text()), JSONB)
        rows = func.jsonb_to_recordset(document).table_valued(column(ORDINAL, Integer), *columns)
        return rows.render_derived(name="batch", with_types=True)
    rows = func.json_each(bindparam(PARAMETER, type_=Text())).table_valued("key", "value")
    found = [func.json_extract(rows.c.value, f"$.{name}").label(name) for name in names]
    return select(rows.c.key.label(ORDINAL), *found).subquery("batch")


def encode_batch(
    table: Table, rows: Iterable[Mapping[str, Any]], *, postgresql: bool
) -> dict[str, str]:
    """Return the parameter ``batch`` for *rows*, each value checked as its column checks it.

    Raises:
        InvalidValueError: A column refuses its value, None where it cannot be NULL included.
        ValueTooLongError: The batch is larger than a statement takes.
    """
    encoded = [_encode_row(table, {ORDINAL: n, **row}, postgresql) for n, row in enumerate(rows)]
    batch = f"[{','.join(encoded)}]"
    if len(batch) > MAX_BATCH // 4 and len(batch.encode()) > MAX_BATCH:
        message = f"a batch has up to {MAX_BATCH} bytes: send it in parts"
        raise ValueTooLongError(message, limit=MAX_BATCH)
    return {PARAMETER: batch}


def _encode_row(table: Table, row: Mapping[str, Any], postgresql: bool) -> str:  # noqa: FBT001
    for name, value in row.items():
        if value is None and _needs_value(table, name):
            raise InvalidValueError("expects a value", table=table.name, column=name)
    parts = (
        f'"{name}":{_encode_value(table, name, value, postgresql)}'
        for name, value in row.items()
        if value is not None
    )
    return "{" + ",".join(parts) + "}"


def _needs_value(table: Table, name: str) -> bool:
    """Whether a column may not be NULL; those with a default get one where it is None."""
    column_of = table.c.get(name)
    return column_of is not None and not column_of.nullable and column_of.default is None


def _encode_value(table: Table, name: str, value: object, postgresql: bool) -> str:  # noqa: FBT001
    kind: Any = table.c[name].type if name in table.c else None
    checked: Any = value if kind is None else kind.check(value)
    if isinstance(kind, JSONCompat):
        return str(checked)  # is JSON already
    if isinstance(checked, datetime):
        # SQLite stores what it is given: the text that the column type writes.
        stored = checked.astimezone(UTC).replace(tzinfo=None)
        text = stored.isoformat(" ", "microseconds")
        return json.dumps(f"{text}+00:00" if postgresql else text)
    if isinstance(checked, UUID):
        return json.dumps(checked.hex)
    return json.dumps(checked, ensure_ascii=False)
