"""Random SELECT statements of whole rows, with relationships and loader options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import (
    aliased,
    contains_eager,
    defer,
    joinedload,
    load_only,
    selectinload,
    subqueryload,
)

from tests.rows import MODELS, attribute_of
from tests.tenancy.fuzz.columns import columns_of
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.reads import comparison, condition, source_of


def plain(draw: Draw, table: str) -> Any:
    """Draw one of the simplest statements about a table."""
    model: Any = MODELS[table]
    fields = source_of(model, table).fields
    if draw.chance(0.3):
        return select(model)
    if draw.chance(0.3):
        return select(func.count()).select_from(model)
    return select(model).where(comparison(draw, fields))


def rows_of_classes(draw: Draw) -> Any:
    """Draw a SELECT of entities, with relationships and loader options where there are some."""
    drawn: Any = draw.model()
    target: Any = aliased(drawn) if draw.chance(0.4) else drawn
    fields = source_of(target, drawn.__tablename__).fields
    statement = select(target)
    names = [relationship.key for relationship in inspect(drawn).relationships]
    if names and draw.chance(0.8):
        statement = _related(draw, statement, target, draw.among(names))
    elif draw.chance(0.3):
        statement = statement.options(_partial(draw, target, drawn))
    for _ in range(draw.among([0, 1, 2])):
        statement = statement.where(condition(draw, fields, 1))
    return statement


def _related(draw: Draw, statement: Any, target: Any, name: str) -> Any:
    attribute = getattr(target, name)
    other: Any = aliased(attribute.property.mapper.class_)
    table = attribute.property.mapper.class_.__tablename__
    choices: list[Callable[[], Any]] = [
        lambda: statement.options(selectinload(attribute)),
        lambda: statement.options(joinedload(attribute)),
        lambda: statement.options(joinedload(attribute, innerjoin=True)),
        lambda: statement.options(subqueryload(attribute)),
        lambda: statement.join(attribute).options(contains_eager(attribute)),
        lambda: statement.join(attribute.of_type(other)),
        lambda: statement.outerjoin(attribute.of_type(other)).options(
            contains_eager(attribute.of_type(other))
        ),
        lambda: statement.join(
            attribute.of_type(other).and_(comparison(draw, source_of(other, table).fields))
        ),
    ]
    return draw.among(choices)()


def _partial(draw: Draw, target: Any, model: Any) -> Any:
    column = draw.among(columns_of(model.__tablename__))
    attribute = getattr(target, attribute_of(column))
    return defer(attribute) if draw.chance(0.5) and not column.primary_key else load_only(attribute)
