"""What is secret shows nowhere: in no repr, no error and no log, whatever happens to a row."""

from __future__ import annotations

import inspect
import logging
import pkgutil
import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, false, insert, literal, null, select, update

import agentdb
from agentdb import Database, UnitOfWork
from agentdb.errors import AgentDBError
from agentdb.orm import Base
from agentdb.types import Choice, JSONCompat, LargeBinary, String
from tests.driver_errors.refusals import CANARY, shown, stored
from tests.rows import MODELS, attribute_of, key_of, parent_of, rows_of, table_of

every_table = pytest.mark.parametrize("table", MODELS)
SECRETS = {name for model in MODELS.values() for name in model.__secrets__}
LOGGERS = (None, "agentdb", "aiosqlite", "asyncio", "psycopg", "sqlalchemy")
WRONG: tuple[Any, ...] = (
    CANARY,
    f"{CANARY}\0",
    f"{CANARY}\ud800",
    CANARY * 100,
    CANARY.encode(),
    {CANARY: {CANARY}},
)
"""Values of which every column refuses some."""


def columns_of(model: type[Base]) -> list[Column[Any]]:
    """Return the columns that a caller may fill."""
    return [column for column in table_of(model).columns if column.computed is None]


def canary_for(column: Column[Any]) -> Any:
    """Return a value with the canary that the column takes; None where it takes none."""
    kind: Any = column.type
    if column.primary_key or parent_of(column) is not None:
        return None
    if isinstance(kind, JSONCompat):
        return {CANARY: CANARY}
    if isinstance(kind, LargeBinary):
        return CANARY.encode()
    is_free = isinstance(kind, String) and not isinstance(kind, Choice)
    return CANARY if is_free and (kind.length or len(CANARY)) >= len(CANARY) else None


def hide_in(row: Base) -> None:
    """Put the canary wherever it fits into a row, into its secrets in any case."""
    given = {attribute_of(column): canary_for(column) for column in columns_of(type(row))}
    values = {name: value for name, value in given.items() if value is not None}
    assert values.keys() >= row.__secrets__
    for name, value in values.items():
        setattr(row, name, value)


def by_columns(model: type[Base]) -> Iterator[Any]:
    """Yield statements with values that columns refuse; none of them touches a row."""
    table = table_of(model)
    for column in columns_of(model):
        for wrong in WRONG:
            yield update(table).where(false()).values({column.name: wrong})
        yield select(column).where(column == literal({CANARY}, column.type), false())


def by_database(row: Base) -> Iterator[Any]:
    """Yield statements that break a constraint: the row again, or lacking something."""
    table, columns = table_of(type(row)), columns_of(type(row))
    values = {column.name: getattr(row, attribute_of(column)) for column in columns}
    yield insert(table).values(values)
    for column in columns:
        if not column.nullable:
            yield insert(table).values({**values, column.name: null()})
        if parent_of(column) is not None and column.type.python_type is not int:
            other = str(uuid4()) if isinstance(column.type, String) else uuid4()
            yield insert(table).values({**values, column.name: other})


async def refused(unit: UnitOfWork, statement: Any) -> AgentDBError | None:
    """Return the error of a statement; None if it has none."""
    try:
        await unit.execute(statement)
    except AgentDBError as error:
        return error
    return None


async def refusals(unit: UnitOfWork, row: Base) -> list[AgentDBError]:
    """Return the errors of all that columns and the database refuse about a stored row."""
    found = [await refused(unit, statement) for statement in by_columns(type(row))]
    for statement in by_database(row):
        async with unit.session.begin_nested() as savepoint:
            found.append(await refused(unit, statement))
            await savepoint.rollback()
    return [error for error in found if error is not None]


def told_by(error: BaseException) -> str:
    """Return all that anybody prints of an error."""
    return shown(error) + "".join(traceback.format_exception(error))


@every_table
async def test_no_secret_is_shown_by_a_row_an_error_or_a_log(
    agentdb_database: Database, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Stored, read, and refused for every reason, with all loggers at DEBUG."""
    rows = rows_of("plain")
    row = rows[table]
    hide_in(row)
    parents = list(MODELS)[: list(MODELS).index(table)]
    async with agentdb_database.begin_system(reason="test") as unit:
        await stored(unit, *(rows[name] for name in parents))
        for logger in LOGGERS:
            caplog.set_level(logging.DEBUG, logger=logger)
        await stored(unit, row)
        unit.session.expunge_all()
        repository = getattr(unit, table)
        found = await repository.require(key_of(row), include_deleted=True)
        page = await repository.page(include_deleted=True)
        errors = await refusals(unit, row)

        assert len({str(error) for error in errors}) > 3
        assert [told_by(error) for error in errors if CANARY in told_by(error)] == []
        assert CANARY not in f"{row!r} {row} {found!r} {page!r} {unit!r} {repository!r}"
    assert CANARY not in caplog.text


def values_of_agentdb() -> dict[str, type[Any]]:
    """Return the classes of values that the library takes and returns: dataclasses and tuples."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.walk_packages(agentdb.__path__, "agentdb."):
        if "__main__" in module.name or "migrations" in module.name:
            continue  # which run when they are imported
        for name, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            is_value = is_dataclass(kind) or hasattr(kind, "_fields")
            if kind.__module__.startswith("agentdb") and is_value and not issubclass(kind, Base):
                found[f"{kind.__module__}.{name}"] = kind
    return found


def test_no_value_shows_a_secret_in_its_repr() -> None:
    """A field that is named as a secret column is left out, as in rows and in schemas."""
    values = values_of_agentdb()
    telling = {
        name
        for name, kind in values.items()
        if any(f.name in SECRETS and f.repr for f in (fields(kind) if is_dataclass(kind) else ()))
        or SECRETS.intersection(getattr(kind, "_fields", ()))
    }

    assert len(values) > 20
    assert telling == set()
