"""Differences of constraints and indexes."""

from __future__ import annotations

from collections.abc import Iterator

from agentdb.catalog.ddl import Ddl
from agentdb.catalog.difference import Difference, Kind
from agentdb.catalog.facts import TableFacts
from agentdb.catalog.matching import Matches, exchange, match

_NOT_VALID = " NOT VALID"


def rules(table: str, wanted: TableFacts, there: TableFacts, ddl: Ddl) -> Iterator[Difference]:
    """Yield the differences of the constraints and indexes of a table."""
    constraints = match(wanted.constraints, there.constraints)
    indexes = match(wanted.indexes, there.indexes)
    by_index = exchange(constraints, indexes, wanted.constraints, there.indexes)
    by_constraint = exchange(indexes, constraints, wanted.indexes, there.constraints)
    rule = _Rules(ddl, table, wanted, there)
    yield from rule.constraints(constraints)
    yield from (rule.constraint_by_index(name, twin) for name, twin in by_index.items())
    yield from rule.indexes(indexes)
    yield from (rule.index_by_constraint(name, twin) for name, twin in by_constraint.items())


class _Rules:
    """The rules of one table, and the statements that would make them equal."""

    def __init__(self, ddl: Ddl, table: str, wanted: TableFacts, there: TableFacts) -> None:
        self._ddl = ddl
        self._table = table
        self._wanted = wanted
        self._there = there

    def constraints(self, found: Matches) -> Iterator[Difference]:
        for name in found.missing:
            yield self._constraint(Kind.MISSING_CONSTRAINT, name, None)
        for name in found.changed:
            yield self._constraint(self._kind(name), name, name)
        for name, twin in found.replaced.items():
            yield self._constraint(self._kind(name), name, twin)
        for name, twin in found.renamed.items():
            rename = f"RENAME CONSTRAINT {self._quoted(twin)} TO {self._quoted(name)}"
            yield self._name(name, twin, self._altered(rename))
        for name in found.extra:
            text = self._there.constraints[name]
            drop = self._dropped(name) if name.strip() == name else ()
            yield self._difference(
                Kind.EXTRA_CONSTRAINT, name.strip(), None, text, closing=drop, harmless=False
            )

    def indexes(self, found: Matches) -> Iterator[Difference]:
        for name in found.missing:
            text = self._wanted.indexes[name]
            yield self._difference(
                Kind.MISSING_INDEX, name, text, None, closing=(self._made(name),)
            )
        for name in found.changed:
            yield self._index(name, self._there.indexes[name])
        for name in sorted(self._there.invalid & self._wanted.indexes.keys()):
            if name not in found.changed:
                yield self._index(name, "an index that could not be built")
        for name, twin in found.renamed.items():
            yield self._name(name, twin, self._renamed_index(name, twin))
        for name in found.extra:
            text = self._there.indexes[name]
            drop = (self._drop_index(name),)
            yield self._difference(Kind.EXTRA_INDEX, name, None, text, closing=drop, harmless=False)

    def constraint_by_index(self, name: str, twin: str) -> Difference:
        text, found = self._wanted.constraints[name], f"{self._there.indexes[twin]}, {twin}"
        use = f"ADD CONSTRAINT {self._quoted(name)} UNIQUE USING INDEX {self._quoted(twin)}"
        statements = self._altered(use)
        return self._difference(Kind.CONSTRAINT, name, text, found, closing=statements)

    def index_by_constraint(self, name: str, twin: str) -> Difference:
        text, found = self._wanted.indexes[name], f"{self._there.constraints[twin]}, {twin}"
        drop = self._dropped(twin)
        statements = (*drop, self._made(name)) if drop else ()
        return self._difference(Kind.INDEX, name, text, found, closing=statements)

    def _constraint(self, kind: Kind, name: str, twin: str | None) -> Difference:
        text = self._wanted.constraints[name]
        found = None if twin is None else self._there.constraints[twin]
        statements: tuple[str, ...] = ()
        if self._ddl.on_postgresql:
            statements = self._closing(name, twin, text, found)
        # Foreign keys of others may refer to a primary key.
        harmless = not text.startswith("PRIMARY KEY")
        return self._difference(kind, name, text, found, closing=statements, harmless=harmless)

    def _closing(
        self, name: str, twin: str | None, text: str, found: str | None
    ) -> tuple[str, ...]:
        if twin == name and found == text + _NOT_VALID:
            return self._altered(f"VALIDATE CONSTRAINT {self._quoted(name)}")
        added = self._ddl.add_constraint(self._table, name)
        return (added,) if twin is None else (*self._dropped(twin), added)

    def _kind(self, name: str) -> Kind:
        is_key = self._wanted.constraints[name].startswith("FOREIGN KEY")
        return Kind.FOREIGN_KEY if is_key else Kind.CONSTRAINT

    def _index(self, name: str, found: str) -> Difference:
        statements = (self._drop_index(name), self._made(name))
        text = self._wanted.indexes[name]
        return self._difference(Kind.INDEX, name, text, found, closing=statements)

    def _name(self, name: str, twin: str, statements: tuple[str, ...]) -> Difference:
        found = twin if twin.strip() == twin else "no name"
        return self._difference(Kind.NAME, name, name, found, closing=statements)

    def _renamed_index(self, name: str, twin: str) -> tuple[str, ...]:
        if not self._ddl.on_postgresql:
            return self._drop_index(twin), self._made(name)
        old, new = self._ddl.qualified(twin), self._quoted(name)
        return (f"ALTER INDEX {old} RENAME TO {new}",)

    def _altered(self, change: str) -> tuple[str, ...]:
        return (self._ddl.alter(self._table, change),) if self._ddl.on_postgresql else ()

    def _dropped(self, constraint: str) -> tuple[str, ...]:
        return self._altered(f"DROP CONSTRAINT {self._quoted(constraint)}")

    def _drop_index(self, name: str) -> str:
        return f"DROP INDEX {self._ddl.qualified(name)}"

    def _made(self, index: str) -> str:
        return self._ddl.create_index(self._ddl.index(self._table, index))

    def _quoted(self, name: str) -> str:
        return self._ddl.quoted(name)

    def _difference(
        self,
        kind: Kind,
        item: str,
        expected: str | None,
        found: str | None,
        *,
        closing: tuple[str, ...] = (),
        harmless: bool = True,
    ) -> Difference:
        harmless = harmless and bool(closing)
        return Difference(self._table, kind, item, expected, found, harmless, closing)
