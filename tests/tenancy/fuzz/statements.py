"""Steps that run statements of mapped classes on the session of a unit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Delete, Update, union, union_all
from sqlalchemy.exc import SQLAlchemyError

from tests.tenancy.fuzz import entities, writes
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import OPERATOR
from tests.tenancy.fuzz.reads import chosen
from tests.tenancy.fuzz.sides import Call, Side
from tests.tenancy.fuzz.steps import Step


async def run(side: Side, statement: Any) -> Any:
    """Run a statement and return its rows, or how many it changed."""
    result: Any = await side.session.execute(statement)
    if isinstance(statement, Update | Delete) and not list(statement.exported_columns):
        return result.rowcount
    return result.unique().all()


class _Text:
    """The text of a statement, which is compiled for a finding alone."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement

    def __str__(self) -> str:
        try:
            return str(self._statement)
        except SQLAlchemyError as error:
            return f"a statement that cannot be compiled: {error}"


def _step(statement: Any, *, answered: bool = False) -> Step:
    writes = isinstance(statement, Update | Delete)
    table = str(statement.__dict__["table"].name) if writes else ""
    call: Call = lambda side: run(side, statement)  # noqa: E731 -- as short as it is
    return Step(_Text(statement), call, table, writes=writes, answered=answered)


def plain(draw: Draw) -> Step:
    """Draw one of the simplest statements, which is refused for closed tables alone."""
    table = draw.table()
    return _step(entities.plain(draw, table), answered=table not in OPERATOR)


def related(draw: Draw) -> Step:
    """Draw a SELECT of whole rows, with what they are related to."""
    return _step(entities.rows_of_classes(draw))


def read(draw: Draw) -> Step:
    """Draw a SELECT of columns, or a union of two."""
    if draw.chance(0.15):
        made = draw.among([union, union_all])
        return _step(made(chosen(draw, 0, width=2), chosen(draw, 0, width=2)))
    return _step(chosen(draw, draw.among([0, 1, 1, 2])))


def write(draw: Draw) -> Step:
    """Draw an UPDATE or a DELETE, which may be undone to a savepoint."""
    return replace(_step(writes.write(draw)), undone=draw.chance(0.2))


def give_away(draw: Draw) -> Step:
    """Draw an UPDATE that would lead rows to another tenant."""
    return replace(_step(writes.give_away(draw)), refused=True)


def forbidden(draw: Draw) -> Step:
    """Draw a change of what no tenant's unit changes."""
    return replace(_step(writes.forbidden(draw)), refused=True)
