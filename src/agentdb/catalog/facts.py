"""What is compared: the same description of a table, from the models and from a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column; texts are as the catalogs of the database spell them.

    Attributes:
        type: The type with its length.
        nullable: Whether it takes NULL.
        default: What the database fills in.
        collation: How it compares, where that is not the default of the type.
        generated: The expression that makes its value.
        autoincrement: Whether SQLite never uses a number of it again.
    """

    type: str
    nullable: bool
    default: str | None = None
    collation: str | None = None
    generated: str | None = None
    autoincrement: bool = False


@dataclass(slots=True)
class TableFacts:
    """One table. Constraints and indexes are texts by name: equal texts are the same rule.

    Attributes:
        columns: By name.
        constraints: Primary key, unique, foreign keys and checks. One without a name has a key that
            begins with a blank.
        indexes: Those that belong to no constraint.
        invalid: Indexes that PostgreSQL failed to build and does not use.
    """

    columns: dict[str, ColumnFacts] = field(default_factory=dict[str, ColumnFacts])
    constraints: dict[str, str] = field(default_factory=dict[str, str])
    indexes: dict[str, str] = field(default_factory=dict[str, str])
    invalid: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class SchemaFacts:
    """All tables of our names in one schema.

    Attributes:
        tables: By name.
        others: What has one of our names and is no table, such as a view.
        enums: Labels of the enumeration types, in order.
    """

    tables: dict[str, TableFacts] = field(default_factory=dict[str, TableFacts])
    others: dict[str, str] = field(default_factory=dict[str, str])
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def primary_key(columns: Iterable[str]) -> str:
    """Return a primary key as text."""
    return f"PRIMARY KEY ({', '.join(columns)})"


def unique(columns: Iterable[str]) -> str:
    """Return a unique constraint as text."""
    return f"UNIQUE ({', '.join(columns)})"


def foreign_key(
    columns: Iterable[str],
    table: str,
    referred: Iterable[str],
    *,
    ondelete: str | None = None,
    onupdate: str | None = None,
    more: str = "",
) -> str:
    """Return a foreign key as text, without ``NO ACTION``, the default of both databases."""
    actions = [("DELETE", ondelete), ("UPDATE", onupdate)]
    written = [f" ON {on} {action}" for on, action in actions if action not in {None, "NO ACTION"}]
    target = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {table} ({', '.join(referred)})"
    return target + "".join(written) + more


def keys(columns: Iterable[str]) -> str:
    """Return the columns of an index as text."""
    return f"({', '.join(columns)})"


def index(keys: str, *, unique: bool, method: str = "btree", where: str | None = None) -> str:
    """Return an index as text."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    using = "" if method == "btree" else f"USING {method} "
    predicate = f" WHERE {where}" if where else ""
    return f"{kind} {using}{keys}{predicate}"
