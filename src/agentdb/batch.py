"""Rows handed to a statement all at once: checked by column, sent in one round trip.

On PostgreSQL they are one JSON parameter: an ``INSERT … SELECT … FROM jsonb_to_recordset(…)`` is as
fast as COPY from Python, keeps RETURNING and runs in any transaction. SQLite, which runs in this
process, takes them row by row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import FromClause, Table, Text, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import JSONB

from agentdb.direct import Call, Row, Rows
from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types import BigInteger, Integer, JSONCompat, String, UTCDateTime, Uuid
from agentdb.unit import Unit

ORDINAL = "ordinal"
"""The column that numbers the rows of a batch from 0."""

PARAMETER = "batch"

_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))

TURN = 500
"""Statements of one turn."""

LARGE = 32 * 1024 * 1024
"""Characters of a batch that PostgreSQL's jsonb surely holds: an array of numbers of one digit
takes six times as many bytes there, of 256 MB."""

MAX_BATCH = 200 * 1024 * 1024
"""Bytes of JSON in one statement: PostgreSQL's jsonb holds up to 256 MB of them
(https://www.postgresql.org/docs/current/datatype-json.html), text and all."""


def batch_rows(table: Table, names: Sequence[str]) -> FromClause:
    """Return the rows of the parameter ``batch`` as something to select from, on PostgreSQL.

    Args:
        table: Gives the types of the columns.
        names: Columns that the rows may have; absent ones are NULL.
    """
    columns = [column(name, table.c[name].type) for name in names]
    document = cast(bindparam(PARAMETER, type_=Text()), JSONB)
    rows = func.jsonb_to_recordset(document).table_valued(column(ORDINAL, Integer()), *columns)
    return rows.render_derived(name="batch", with_types=True)


Columns: TypeAlias = Mapping[str, Sequence[Any]]
"""Some columns of a batch, each with a value for every row."""


def check_columns(table: Table, columns: Columns) -> Columns:
    """Return *columns* with each value as its column stores it; JSON columns as text.

    Columns without any value are left out.

    Raises:
        InvalidValueError: A column refuses a value, None where it cannot be NULL included.
    """
    checked: dict[str, Sequence[Any]] = {}
    kinds, required = _kinds(table), _required(table)
    for name, values in columns.items():
        missing = values.count(None)
        if missing and name in required:
            raise InvalidValueError("expects a value", table=table.name, column=name)
        if missing < len(values):
            checked[name] = kinds[name].check_all(values)
    return checked


@cache
def _kinds(table: Table) -> dict[str, Any]:
    return {column_of.name: column_of.type for column_of in table.c}


@cache
def _required(table: Table) -> frozenset[str]:
    """Return the columns that are not NULL, and get no value where they have none."""
    return frozenset(c.name for c in table.c if not c.nullable and c.default is None)


def encode_batch(table: Table, columns: Columns) -> dict[str, str]:
    """Return the parameter ``batch`` for checked *columns*, on PostgreSQL.

    Without any column there are no rows.

    Raises:
        ValueTooLongError: The batch is larger than a statement takes.
    """
    size = len(next(iter(columns.values()), ()))
    written = [_written(_kinds(table)[name], values) for name, values in columns.items()]
    form = ",".join([f'{{"{ORDINAL}":%d', *(f'"{name}":%s' for name in columns)]) + "}"
    batch = f"[{','.join([form % row for row in zip(range(size), *written, strict=True)])}]"
    _check_size([batch])
    return {PARAMETER: batch}


def _written(kind: Any, values: Sequence[Any]) -> Iterable[str]:
    """Return the checked values of a column as JSON; many rows have the same one."""
    if isinstance(kind, JSONCompat):
        return ["null" if value is None else value for value in values]
    write: Callable[[Any], str] = _ENCODER.encode
    if isinstance(kind, Uuid | UTCDateTime):
        write = '"{}"'.format
    elif isinstance(kind, BigInteger | Integer):
        write = "{:d}".format
    written = {value: write(value) for value in set(values) - {None}}
    written[None] = "null"
    return map(written.__getitem__, values)


def plain_rows(table: Table, names: Sequence[str], columns: Columns) -> list[dict[str, Any]]:
    """Return `plain_columns` as rows."""
    stored = plain_columns(table, names, columns).values()
    return [dict(zip(names, row, strict=True)) for row in zip(*stored, strict=True)]


def plain_columns(table: Table, names: Sequence[str], columns: Columns) -> Columns:
    """Return checked *columns* for SQLite, each value as it is stored.

    Args:
        table: The table.
        names: What each row has; None where the column is left out.
        columns: The columns.

    Raises:
        ValueTooLongError: The batch is larger than PostgreSQL would take.
    """
    missing = [None] * len(next(iter(columns.values()), ()))
    stored = {name: _stored(table, name, columns[name]) for name in names if name in columns}
    return {name: stored.get(name, missing) for name in names}


def _stored(table: Table, name: str, values: Sequence[Any]) -> Sequence[Any]:
    kind = _kinds(table)[name]
    if isinstance(kind, Uuid):
        return [None if value is None else value.hex for value in values]
    if isinstance(kind, UTCDateTime):
        return [None if value is None else stored_instant(value) for value in values]
    if isinstance(kind, String | JSONCompat):
        _check_size([value for value in values if value is not None])
    return values


def stored_instant(value: datetime) -> str:
    """Return the text that SQLAlchemy stores: of fixed width, in UTC."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def _check_size(texts: Sequence[str]) -> None:
    if sum(map(len, texts)) > MAX_BATCH // 4 and sum(map(_bytes, texts)) > MAX_BATCH:
        message = f"a batch has up to {MAX_BATCH} bytes: send it in parts"
        raise ValueTooLongError(message, limit=MAX_BATCH)


def _bytes(text: str) -> int:
    return len(text.encode())


def guard_batch(unit: Unit, encoded: Mapping[str, str]) -> AbstractAsyncContextManager[None]:
    """Return a savepoint for a batch that PostgreSQL may refuse for what becomes of it there.

    Others need none: the values are checked and their parent is locked, nothing can fail.
    """
    return unit.savepoint() if len(encoded[PARAMETER]) > LARGE else nullcontext()


def rows_in_turn(columns: Columns) -> list[Rows]:
    """Return the rows of `plain_columns`, as many together as one turn takes."""
    size = len(next(iter(columns.values())))
    return [
        Rows({name: values[start : start + TURN] for name, values in columns.items()})
        for start in range(0, size, TURN)
    ]


async def send_in_turn(
    unit: Unit, calls: Sequence[Call], *, last: int | None = None
) -> list[list[Row]]:
    """Run many statements, some hundred at a time, and return the rows of each.

    Between two turns a cancellation is heard. Where one turn is enough, *last* is that of
    `Unit.send`.
    """
    if len(calls) <= TURN:
        return await unit.send(*calls, last=last)
    found: list[list[Row]] = []
    for start in range(0, len(calls), TURN):
        found += await unit.send(*calls[start : start + TURN])
    return found
