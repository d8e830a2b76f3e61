"""Which of our tables a statement uses, and whether loader criteria reach all of them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Delete, FromClause, Insert, Join, Select, TextClause, Update, text
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql import util as sql_util
from sqlalchemy.sql.elements import ClauseList, ColumnClause
from sqlalchemy.sql.expression import TableClause
from sqlalchemy.sql.selectable import AliasedReturnsRows, Lateral

from agentdb.orm import Base
from agentdb.tenancy.predicates import declaration

_DML = (Insert, Update, Delete)
_SCOPES = (Select, *_DML)
_annotations_of = attrgetter("_annotations")
_attributes_of = attrgetter("_propagate_attrs")
_sql_util: Any = sql_util
_ENTITY = "parententity"
_MAPPER = "parentmapper"
_TEXTS = frozenset(("_hints", "_prefixes", "_statement_hints", "_suffixes", "modifier", "operator"))


@dataclass(frozen=True, slots=True)
class UsedTables:
    """Our tables in a statement.

    Attributes:
        names: All of them.
        bare: Those that stand somewhere in a place which loader criteria do not reach.
        joined: Those that loader options may add.
    """

    names: frozenset[str]
    bare: frozenset[str]
    joined: frozenset[str]


class _Source(NamedTuple):
    """One of our tables in a FROM.

    Attributes:
        name: What it is called there: its own name, or that of an alias.
        table: The table.
    """

    name: str
    table: str


@dataclass(slots=True)
class _Scope:
    """What one SELECT, UPDATE or DELETE uses, its subqueries apart.

    Attributes:
        outer: The statement around it that it may be correlated with.
        correlated: What is left to that statement.
        reached: What the ORM adds loader criteria to.
        mapped: What stands there by a mapped class or an alias of one.
        columns: What stands there by columns of which the ORM knows nothing.
        bare: Tables that stand there by other means.
    """

    outer: _Scope | None = None
    correlated: Container[_Source | None] = ()
    reached: set[_Source] = field(default_factory=set[_Source])
    mapped: set[_Source] = field(default_factory=set[_Source])
    columns: set[_Source] = field(default_factory=set[_Source])
    bare: set[str] = field(default_factory=set[str])

    def names(self) -> set[str]:
        """Return all tables."""
        return self.bare | {source.table for source in self.mapped | self.columns}

    def unreached(self) -> set[str]:
        """Return the tables without loader criteria."""
        free = {s for s in self.mapped - self.reached if not self.is_outer(s)}
        return self.bare | {source.table for source in free | (self.columns - self.reached)}

    def is_outer(self, source: _Source) -> bool:
        """Whether a table stands in a statement around this one, and is left to it."""
        if self.outer is None or source not in self.correlated:
            return False
        return source in self.outer.reached or self.outer.is_outer(source)


def tables_of(statement: Any) -> UsedTables:
    """Return the tables of ours in a statement, its subqueries included.

    The ORM annotates the columns and tables that a mapped class contributes. What carries no
    annotation was taken from ``__table__``, the metadata or text. A write inside a statement counts
    as bare: no criteria reach what it sets.
    """
    scopes: list[_Scope] = [_Scope()]
    todo: list[tuple[Any, _Scope]] = [(statement, scopes[0])]
    while todo:
        element, scope = todo.pop()
        if isinstance(element, _SCOPES):
            scope = _scope_of(element, scope, written=element is statement)
            scopes.append(scope)
        elif isinstance(element, AliasedReturnsRows) and not isinstance(element, Lateral):
            scope = _Scope()  # a FROM is not correlated with its neighbours
            scopes.append(scope)
        for part in _parts(element):
            _note(part, scope)
        todo.extend((child, scope) for child in element.get_children())
    return _sum(scopes, statement)


def _sum(scopes: list[_Scope], statement: Any) -> UsedTables:
    names = frozenset[str]().union(*(scope.names() for scope in scopes))
    bare = frozenset[str]().union(*(scope.unreached() for scope in scopes))
    if isinstance(statement, FromStatement) and isinstance(statement.element, TextClause):
        bare |= names  # rows of a class from text: nothing would confine them
    joined = related_tables() if statement.__dict__.get("_with_options") else frozenset[str]()
    return UsedTables(names, bare, joined)


@cache
def related_tables() -> frozenset[str]:
    """Return the tables that a loader option may join to a statement by a relationship."""
    relationships = (r for mapper in Base.registry.mappers for r in mapper.relationships)
    return frozenset(r.mapper.class_.__tablename__ for r in relationships)


# --- What the ORM confines


def _scope_of(element: Any, outer: _Scope, *, written: bool) -> _Scope:
    if isinstance(element, Select):
        return _Scope(outer, _correlation(element), set(_reached(element)))
    # An UPDATE or DELETE confines its own table; a second one beside it takes no criteria.
    name = getattr(element.table, "name", "")
    return _Scope(reached={_Source(name, name)} if written else set())


def _reached(select: Any) -> Iterator[_Source]:
    """Yield what the ORM adds loader criteria to, as `ORMSelectCompileState` finds it.

    Of a column that combines several classes that is the first one; of a condition, what is not
    inside a function; of a join that was built apart, its left side.
    """
    state = select.__dict__
    if _attributes_of(select).get("compile_state_plugin") != "orm":
        return
    entities: list[Any] = [
        *(
            _sql_util.extract_first_column_annotation(c, _ENTITY)
            for c in _columns(state["_raw_columns"])
        ),
        *(_entity_of(source) for source in state.get("_from_obj", ())),
        *(
            _entity_of(element)
            for condition in state.get("_where_criteria", ())
            for element in _sql_util.surface_expressions(condition)
        ),
    ]
    for target, _, left, _ in state.get("_setup_joins", ()):
        entities += [_target(target), None if left is None else _entity_of(left)]
    for entity in entities:
        source = None if entity is None else _source(entity.selectable)
        if source is not None:
            yield source


def _entity_of(element: Any) -> Any:
    """Return the class or the alias that an element was taken from."""
    return _annotations_of(element).get(_ENTITY)


def _columns(raw: Iterable[Any]) -> Iterator[Any]:
    """Yield the columns of a SELECT, those in bundles one by one."""
    for column in raw:
        if isinstance(column, ClauseList):
            yield from _columns(column.clauses)
        else:
            yield column


def _target(joined: Any) -> Any:
    """Return the entity that a join goes to: a class, an alias, or what a relationship leads to."""
    entity = _entity_of(joined)
    return entity if entity is not None else getattr(joined, "entity", None)


@dataclass(frozen=True, slots=True)
class _AllBut:
    """Every table but some."""

    kept: frozenset[_Source | None]

    def __contains__(self, source: object) -> bool:
        return source not in self.kept


def _correlation(select: Any) -> Container[_Source | None]:
    """Return the tables that a SELECT leaves to the statement around it, if they stand there."""
    state = select.__dict__
    excepted: Iterable[Any] | None = state.get("_correlate_except")
    if excepted is not None:
        return _AllBut(frozenset(map(_source, excepted)))
    return {_source(table) for table in state.get("_correlate", ())}


# --- What stands there


def _parts(element: Any) -> Iterator[Any]:
    """Yield what an element reads or writes by itself: columns, and what stands in its FROM.

    The tables that a Select derives from its columns are left to those columns.
    """
    if isinstance(element, ColumnClause | TextClause):
        yield element
        return
    yield from map(text, _raw(element))
    if isinstance(element, _DML):
        yield element.table
    elif isinstance(element, Join):
        yield from (element.left, element.right)
    elif isinstance(element, Select):
        # SQLAlchemy computes the final FROM at compile time; what was asked for stands here.
        state = element.__dict__
        yield from state.get("_from_obj", ())
        yield from (c for c in state.get("_raw_columns", ()) if isinstance(c, FromClause))
        yield from (join[0] for join in state.get("_setup_joins", ()))


def _raw(element: Any) -> Iterator[str]:
    """Yield SQL that was handed over as text and is no element of its own."""
    state: dict[str, Any] = element.__dict__
    if _TEXTS.isdisjoint(state):
        return
    for name in ("operator", "modifier"):
        yield from filter(None, [getattr(state.get(name), "opstring", None)])
    for name in ("_prefixes", "_suffixes"):
        yield from (str(part[0]) for part in state.get(name, ()))
    yield from (hint for _, hint in state.get("_statement_hints", ()))
    yield from state.get("_hints", {}).values()


def _note(part: Any, scope: _Scope) -> None:
    if isinstance(part, TextClause):
        scope.bare |= _named_in(part.text)
        return
    is_column = isinstance(part, ColumnClause)
    if is_column and part.is_literal:
        scope.bare |= _named_in(str(part.name))
    source = _source(part.table if is_column else part)
    if source is None:
        return
    # Columns of a mapped class know their entity, those of a relationship's join their mapper, and
    # those of a relationship's join to an alias neither.
    annotations = _annotations_of(part)
    if _ENTITY in annotations or _MAPPER in annotations:
        scope.mapped.add(source)
    elif is_column:
        scope.columns.add(source)
    else:
        scope.bare.add(source.table)


def _source(element: Any) -> _Source | None:
    """Return our table behind a FROM element, an alias or a sample of one."""
    inner = element
    while hasattr(inner, "element"):
        inner = inner.element
    table = str(inner.name) if isinstance(inner, TableClause) else None
    if table is None or declaration(table) is None:
        return None
    return _Source(str(element.name), table)


def _named_in(sql: str) -> set[str]:
    """Return our tables that raw SQL names, which nothing confines."""
    return {word for word in re.findall(r"\w+", sql.lower()) if declaration(word) is not None}
