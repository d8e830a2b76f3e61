"""Steps that write objects: new ones, and some that say they are rows which they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.orm import Session, make_transient_to_detached

from tests.rows import MODELS, Rows, attribute_of, row_of, rows_of, table_of
from tests.tenancy.fuzz.columns import columns_to_write, ties, written
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import KEPT, MEMBERSHIPS, OPERATOR, SHARED, TENANTS
from tests.tenancy.fuzz.sides import Side
from tests.tenancy.fuzz.steps import Step

CLOSED = (*OPERATOR, *SHARED, *KEPT)
"""Tables in which no tenant's unit makes a row."""
NOBODY = rows_of("nobody")


def mixed(draw: Draw, share: float) -> Rows:
    """Draw a row of each table to refer to: own ones, and a *share* of others."""
    rows = dict(draw.population.sets[draw.among([draw.tenant, f"{draw.tenant}2"])])
    others = [t for t in TENANTS if t != draw.tenant]
    for name in rows:
        if draw.chance(share):
            label = draw.among([*others, *(f"{t}2" for t in others)])
            rows[name] = draw.among([draw.population.sets[label], NOBODY])[name]
    return rows


def alone(table: str) -> dict[str, Any]:
    """Return the columns of a table that refer to the same table, empty."""
    return {attribute_of(column): None for column, to in ties(table) if to == table}


def new_row(draw: Draw) -> Step:
    """Draw a new row, which may belong or refer to rows of another tenant."""
    table = draw.table()
    parents = mixed(draw, draw.among([0, 0.1, 0.5]))
    if table == MEMBERSHIPS:
        # It is what makes a person one of the tenant's, whoever that is.
        parents["users"] = draw.among(draw.population.own(draw.tenant, "users"))
    label = f"new{draw.rng.randrange(10**6)}"
    refused = table in CLOSED or bool(_strangers(draw, table, parents))

    async def call(side: Side) -> None:
        side.unit.session.add(row_of(table, label, parents, **alone(table)))
        await side.unit.session.flush()

    name = f"add a row of {table}"
    return Step(name, call, table, writes=True, refused=refused, by_unit=True)


def _strangers(draw: Draw, table: str, parents: Rows) -> list[str]:
    """Return the tables that a new row would refer to another tenant's row of, or to none."""
    own = {id(row) for name in MODELS for row in draw.population.own(draw.tenant, name)}
    led = {to for _, to in ties(table) if to not in {table, *SHARED}}
    return [parent for parent in led if id(parents[parent]) not in own]


def rewritten(draw: Draw) -> Step:
    """Draw a change of an object that is another row than it says."""
    return _disguised(draw, draw.among([_change, _delete]))


def reloaded(draw: Draw) -> Step:
    """Draw a reload of an object that is another row than it says."""
    return _disguised(draw, _reload)


def _disguised(draw: Draw, work: Callable[[Session, Any], Any]) -> Step:
    """Draw an object that says it is the tenant's, and has the key of another tenant's row."""
    table = draw.table()
    if table in SHARED:
        table = draw.among([name for name in MODELS if name not in SHARED])
    foreign: Any = draw.among(draw.population.foreign(draw.tenant, table))
    own = dict(draw.population.sets[draw.tenant])

    async def call(side: Side) -> Any:
        return await side.unit.session.run_sync(work, _like(table, own, foreign))

    name = f"{work.__name__[1:]} a disguised {table}"
    return Step(name, call, table, writes=True, refused=True, by_unit=True)


def _like(table: str, own: Rows, foreign: Any) -> Any:
    row = row_of(table, "disguised", own)
    for column in table_of(MODELS[table]).primary_key:
        name = attribute_of(column)
        setattr(row, name, getattr(foreign, name))
    return row


def _attach(session: Session, row: Any) -> Any:
    make_transient_to_detached(row)
    session.add(row)
    return row


def _change(session: Session, row: Any) -> None:
    for column in columns_to_write(row.__tablename__)[:1]:
        setattr(_attach(session, row), attribute_of(column), written(column))
        session.flush()
        return
    _delete(session, row)


def _delete(session: Session, row: Any) -> None:
    session.delete(_attach(session, row))
    session.flush()


def _reload(session: Session, row: Any) -> Iterable[Any]:
    session.refresh(_attach(session, row))
    return [row]
