"""One difference between a database and the models."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What differs."""

    FOREIGN_TABLE = "foreign_table"
    """Something of a table's name that is not this table."""
    MISSING_TABLE = "missing_table"
    MISSING_COLUMN = "missing_column"
    EXTRA_COLUMN = "extra_column"
    TYPE = "type"
    NULLABILITY = "nullability"
    COLLATION = "collation"
    DEFAULT = "default"
    """What the database fills in where a statement gives no value."""
    AUTOINCREMENT = "autoincrement"
    """Whether SQLite may use the number of a deleted row again."""
    GENERATED = "generated"
    ENUM = "enum"
    """The labels of an enumeration type, or their order."""
    MISSING_CONSTRAINT = "missing_constraint"
    EXTRA_CONSTRAINT = "extra_constraint"
    CONSTRAINT = "constraint"
    FOREIGN_KEY = "foreign_key"
    MISSING_INDEX = "missing_index"
    EXTRA_INDEX = "extra_index"
    INDEX = "index"
    NAME = "name"
    """The same thing under another name."""


_WORDS = {
    Kind.FOREIGN_TABLE: "the name is taken",
    Kind.MISSING_TABLE: "the table is missing",
    Kind.MISSING_COLUMN: "the column is missing",
    Kind.EXTRA_COLUMN: "a column that is not ours",
    Kind.EXTRA_CONSTRAINT: "a constraint that is not ours",
    Kind.EXTRA_INDEX: "an index that is not ours",
    Kind.MISSING_CONSTRAINT: "the constraint is missing",
    Kind.MISSING_INDEX: "the index is missing",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a database and the models.

    Attributes:
        table: The table; for an enumeration type, the first table that uses it.
        kind: What differs.
        item: The column, constraint, index or type; empty for a whole table.
        expected: What the models say; None for what they do not have.
        found: What the database has; None for what it lacks.
        harmless: Whether `statements` neither change nor remove a row. Rows that break a rule may
            refuse them, and then nothing is changed.
        statements: The SQL that closes the difference; empty where none does.
    """

    table: str
    kind: Kind
    item: str
    expected: str | None
    found: str | None
    harmless: bool = False
    statements: tuple[str, ...] = ()

    @property
    def sql(self) -> str | None:
        """The statements as a script; None where no statement closes the difference."""
        return "".join(f"{statement};\n" for statement in self.statements).strip() or None

    @property
    def place(self) -> str:
        """The table and the item."""
        return f"{self.table}.{self.item}" if self.item else self.table

    @property
    def key(self) -> str:
        """Stable text by which a person accepts the difference."""
        return f"{self.place}:{self.kind}"

    @property
    def informational(self) -> bool:
        """Whether nothing has to be done: it hinders neither this release nor a later one.

        That is a further index which restricts no row, and on SQLite, which does not rename them,
        the name of a constraint.
        """
        if self.kind is Kind.EXTRA_INDEX:
            return not (self.found or "").startswith("UNIQUE")
        return self.kind is Kind.NAME and not self.statements

    def as_dict(self) -> dict[str, str | bool | None]:
        """Return the difference as JSON takes it."""
        return {
            "key": self.key,
            "table": self.table,
            "kind": str(self.kind),
            "item": self.item,
            "expected": self.expected,
            "found": self.found,
            "harmless": self.harmless,
            "informational": self.informational,
            "sql": self.sql,
        }

    def __str__(self) -> str:
        if self.kind not in _WORDS:
            expected, found = self.expected or "nothing", self.found or "nothing"
            return f"{self.place}: {self.kind} is {found}, expected {expected}"
        shown = self.found or self.expected
        return f"{self.place}: {_WORDS[self.kind]}" + (f", {shown}" if shown else "")
