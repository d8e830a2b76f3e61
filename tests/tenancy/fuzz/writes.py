"""Random UPDATE and DELETE statements over mapped classes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, update

from tests.rows import MODELS, attribute_of
from tests.tenancy.fuzz.columns import TABLES, columns_to_write, ties, written
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import KEPT, OPERATOR, SHARED
from tests.tenancy.fuzz.reads import comparison, condition, source_of


def write(draw: Draw) -> Any:
    """Draw an UPDATE or a DELETE of the rows that meet random conditions."""
    table = draw.table()
    model: Any = MODELS[table]
    fields = source_of(model, table).fields
    columns = columns_to_write(table)
    if columns and draw.chance(0.7):
        column = draw.among(columns)
        statement: Any = update(model).values({attribute_of(column): written(column)})
    else:
        statement = delete(model)
    if draw.chance(0.7):
        some = condition(draw, fields, 1) if draw.chance(0.4) else comparison(draw, fields)
        statement = statement.where(some)
    if draw.chance(0.2):
        statement = statement.returning(model)
    return statement.execution_options(synchronize_session=False)


def give_away(draw: Draw) -> Any:
    """Draw an UPDATE that would tie the rows of a table to rows of another tenant."""
    table = draw.table()
    foreign = draw.population.foreign(draw.tenant, table)
    while not foreign or not ties(table):
        table = draw.among(TABLES)
        foreign = draw.population.foreign(draw.tenant, table)
    model: Any = MODELS[table]
    column, _ = draw.among(ties(table))
    name = attribute_of(column)
    statement = update(model).values({name: getattr(draw.among(foreign), name)})
    return statement.execution_options(synchronize_session=False)


def forbidden(draw: Draw) -> Any:
    """Draw a change of what no tenant's unit changes."""
    table = draw.table()
    while table not in (*KEPT, *SHARED, *OPERATOR):
        table = draw.among([*KEPT, *SHARED, *OPERATOR])
    model: Any = MODELS[table]
    statement: Any = delete(model)
    columns = columns_to_write(table)
    if table not in KEPT and columns and draw.chance(0.5):
        column = draw.among(columns)
        statement = update(model).values({attribute_of(column): written(column)})
    return statement.execution_options(synchronize_session=False)
