"""The ways by which one column of a row is written, and what each answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agentdb.errors import AgentDBError
from agentdb.testing.factories.references import key_in, target_of
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS, Rows, key_of, row_of, rows_of, table_of, values_of

T = TypeVar("T")
Path = Callable[[UnitOfWork, str, Rows, dict[str, Any]], Awaitable[None]]
"""Writes some columns of a row of a table into a unit of the tenant of these rows."""


APART: dict[str, dict[str, Any]] = {"conversation_ledger_segments": {"parent_segment_id": None}}
"""What a row holds that would else be its own parent."""


def _made(table: str, own: Rows, values: dict[str, Any]) -> Any:
    row = row_of(table, "new", own)
    for name, value in {**APART.get(table, {}), **values}.items():
        setattr(row, name, value)
    return row


async def flush_new(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Flush a new entity."""
    unit.session.add(_made(table, own, values))
    await unit.session.flush()


async def flush_stored(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Change a stored entity, and flush it."""
    row: Any = await unit.session.get_one(MODELS[table], key_of(own[table]))
    for name, value in values.items():
        setattr(row, name, value)
    await unit.session.flush()


async def add(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Add a row through its repository."""
    await getattr(unit, table).add(_made(table, own, values))


async def add_many(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Add it together with one that nothing is wrong with."""
    rows = [row_of(table, "fine", own), _made(table, own, values)]
    await getattr(unit, table).add_many(rows)


async def upsert(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Insert it, or update the one with its key."""
    row = {**values_of(table, "new", own), **values}
    keys = [column.name for column in table_of(MODELS[table]).primary_key]
    if row.get(keys[0]) is None:
        row[keys[0]] = 10**9
    await getattr(unit, table).upsert(row, keys)


async def update(unit: UnitOfWork, table: str, own: Rows, values: dict[str, Any]) -> None:
    """Update a stored row by its key."""
    await getattr(unit, table).update(key_of(own[table]), **values)


PATHS: dict[str, Path] = {
    path.__name__: path for path in (flush_new, flush_stored, add, add_many, upsert, update)
}


async def undone(unit: UnitOfWork, work: Callable[[], Awaitable[T]]) -> T | AgentDBError:
    """Return what *work* returns, or the error that it ends with; what it has written is undone."""
    async with unit.session.begin_nested() as savepoint:
        result = await _result(work)
        await savepoint.rollback()
    unit.session.expunge_all()
    return result


async def _result(work: Callable[[], Awaitable[T]]) -> T | AgentDBError:
    try:
        return await work()
    except AgentDBError as error:
        return error


async def answer(
    unit: UnitOfWork, path: Callable[..., Awaitable[None]], *arguments: Any
) -> AgentDBError | None:
    """Return the error that a path ends with; what it has written is undone."""
    return await undone(unit, lambda: path(unit, *arguments))


def referring(table: str, attribute: str, rows: Rows) -> Any:
    """Return what a column of a table holds when it refers to one of *rows*."""
    model = MODELS[table]
    column = next(c for c in table_of(model).columns if c.key == attribute)
    target = target_of(column)
    if target is None:
        return str(rows["users"].id)
    return key_in(column, rows[target.table], target)


def nobody() -> Rows:
    """Return rows that are stored nowhere."""
    rows = rows_of("nobody")
    for table, row in rows.items():
        if key_of(row) is None:
            row.id = 10**9 + len(table)
    return rows
