"""Which of our tables a statement uses, and whether by their mapped classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Delete, FromClause, Insert, Join, Select, TextClause, Update
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.expression import TableClause

from agentdb.orm import Base
from agentdb.tenancy.predicates import declaration

_DML = (Insert, Update, Delete)
_SCOPES = (Select, *_DML)


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


@dataclass(slots=True)
class _Scope:
    """What one SELECT, UPDATE or DELETE uses, its subqueries apart.

    Attributes:
        mapped: Tables by their mapped class.
        aliases: Tables by an alias of their mapped class.
        columns: Tables by columns of the bare table; the class beside them is the same FROM.
        bare: Tables that stand there bare.
    """

    mapped: set[str] = field(default_factory=set[str])
    aliases: set[str] = field(default_factory=set[str])
    columns: set[str] = field(default_factory=set[str])
    bare: set[str] = field(default_factory=set[str])


def tables_of(statement: Any) -> UsedTables:
    """Return the tables of ours in a statement, its subqueries included.

    The ORM annotates the columns and tables that a mapped class contributes. What carries no
    annotation was taken from ``__table__``, the metadata or text. A write inside a statement counts
    as bare: no criteria reach what it sets.
    """
    scopes = [_Scope()]
    todo: list[tuple[Any, _Scope]] = [(statement, scopes[0])]
    while todo:
        element, scope = todo.pop()
        if isinstance(element, _SCOPES):
            scope = _Scope()
            scopes.append(scope)
        for part in _parts(element):
            _note(part, scope)
        if isinstance(element, _DML) and element is not statement:
            scope.bare |= scope.mapped
        todo.extend((child, scope) for child in element.get_children())
    return _sum(scopes, statement)


def _sum(scopes: list[_Scope], statement: Any) -> UsedTables:
    names = frozenset[str]().union(*(s.mapped | s.aliases | s.columns | s.bare for s in scopes))
    bare = frozenset[str]().union(*(s.bare | (s.columns - s.mapped) for s in scopes))
    if isinstance(statement, FromStatement) and isinstance(statement.element, TextClause):
        bare |= names  # rows of a class from text: nothing would confine them
    joined = related_tables() if statement.__dict__.get("_with_options") else frozenset[str]()
    return UsedTables(names, bare, joined)


@cache
def related_tables() -> frozenset[str]:
    """Return the tables that a loader option may join to a statement by a relationship."""
    relationships = (r for mapper in Base.registry.mappers for r in mapper.relationships)
    return frozenset(r.mapper.class_.__tablename__ for r in relationships)


def _parts(element: Any) -> Iterator[Any]:
    """Yield what an element reads or writes by itself: columns, and what stands in its FROM.

    The tables that a Select derives from its columns are left to those columns.
    """
    if isinstance(element, ColumnClause | TextClause):
        yield element
    elif isinstance(element, _DML):
        yield element.table
    elif isinstance(element, Join):
        yield from (element.left, element.right)
    elif isinstance(element, Select):
        # SQLAlchemy computes the final FROM at compile time; what was asked for stands here.
        state = element.__dict__
        yield from state.get("_from_obj", ())
        yield from (c for c in state.get("_raw_columns", ()) if isinstance(c, FromClause))
        yield from (join[0] for join in state.get("_setup_joins", ()))


def _note(part: Any, scope: _Scope) -> None:
    if isinstance(part, TextClause):
        scope.bare |= _named_in(part.text)
        return
    is_column = isinstance(part, ColumnClause)
    if is_column and part.is_literal:
        scope.bare |= _named_in(str(part.name))
    source: Any = part.table if is_column else part
    name = _our_name(source)
    if name is None:
        return
    is_alias = not isinstance(source, TableClause)
    if not {"parententity", "parentmapper"}.isdisjoint(getattr(part, "_annotations", ())):
        # Columns of a mapped class know their entity, those of a relationship's join their mapper.
        (scope.aliases if is_alias else scope.mapped).add(name)
    else:
        (scope.columns if is_column and not is_alias else scope.bare).add(name)


def _our_name(source: Any) -> str | None:
    """Return the name of our table behind a FROM element, an alias or a sample of one."""
    while hasattr(source, "element"):
        source = source.element
    name = str(source.name) if isinstance(source, TableClause) else None
    return name if name is not None and declaration(name) is not None else None


def _named_in(sql: str) -> set[str]:
    """Return our tables that raw SQL names, which nothing confines."""
    return {word for word in re.findall(r"\w+", sql.lower()) if declaration(word) is not None}
