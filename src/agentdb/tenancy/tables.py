"""Which of our tables a statement uses, and whether by their mapped classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Delete, FromClause, Insert, Join, Select, Table, TextClause, Update
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnElement

from agentdb.orm import Base
from agentdb.tenancy.predicates import declaration


@dataclass(frozen=True, slots=True)
class UsedTables:
    """Our tables in a statement.

    Attributes:
        names: All of them.
        bare: Those used past their mapped class somewhere, where loader criteria do not reach.
        joined: Those that loader options may add.
    """

    names: frozenset[str]
    bare: frozenset[str]
    joined: frozenset[str]


def tables_of(statement: Any) -> UsedTables:
    """Return the tables of ours in a statement, its subqueries included.

    The ORM annotates the columns and tables that a mapped class contributes. What carries no
    annotation was taken from ``__table__`` or the metadata.
    """
    names: set[str] = set()
    bare: set[str] = set()
    for element in visitors.iterate(statement):
        for part in _parts(element):
            name = _our_name(_source(part))
            if name is not None:
                names.add(name)
                if not _is_mapped(part):
                    bare.add(name)
        if isinstance(element, Table) and _our_name(element) is not None:
            names.add(element.name)
    if isinstance(statement, FromStatement) and isinstance(statement.element, TextClause):
        bare |= names  # rows of a class from text: nothing would confine it
    joined = related_tables() if statement.__dict__.get("_with_options") else frozenset[str]()
    return UsedTables(frozenset(names), frozenset(bare), joined)


@cache
def related_tables() -> frozenset[str]:
    """Return the tables that a loader option may join to a statement by a relationship."""
    relationships = (r for mapper in Base.registry.mappers for r in mapper.relationships)
    return frozenset(r.mapper.class_.__tablename__ for r in relationships)


def _parts(element: Any) -> Iterator[Any]:
    """Yield what an element reads or writes by itself: columns, and what stands in its FROM.

    The tables that a Select derives from its columns are left to those columns.
    """
    if isinstance(element, ColumnElement):
        yield element
    elif isinstance(element, Insert | Update | Delete):
        yield element.table
    elif isinstance(element, Join):
        yield from (element.left, element.right)
    elif isinstance(element, Select):
        # SQLAlchemy computes the final FROM at compile time; what was asked for stands here.
        state = element.__dict__
        yield from state.get("_from_obj", ())
        yield from (c for c in state.get("_raw_columns", ()) if isinstance(c, FromClause))
        yield from (join[0] for join in state.get("_setup_joins", ()))


def _source(part: Any) -> Any:
    """Return the FROM element behind a column, an alias or a sample of a table."""
    source: Any = part.table if hasattr(part, "table") else part
    while hasattr(source, "element"):
        source = source.element
    return source


def _our_name(source: Any) -> str | None:
    name = str(source.name) if isinstance(source, Table) else None
    return name if name is not None and declaration(name) is not None else None


def _is_mapped(part: Any) -> bool:
    # Columns of a mapped class know their entity, those of a relationship's join their mapper.
    return not {"parententity", "parentmapper"}.isdisjoint(getattr(part, "_annotations", ()))
