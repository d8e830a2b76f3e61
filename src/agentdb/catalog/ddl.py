"""The statements that make what the models say, in a dialect and a schema."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Column, Constraint, Dialect, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.schema import AddConstraint, CreateColumn, CreateIndex, CreateTable
from sqlalchemy.sql.elements import ClauseElement

from agentdb.catalog.expected import enums_of, is_there, labels_of
from agentdb.models import Base
from agentdb.orm import NAMING_CONVENTION
from agentdb.types import NativeEnum


class Ddl:
    """Statements for one database.

    Attributes:
        dialect: Its dialect, as scripts are written in.
        on_postgresql: Whether it is PostgreSQL, which changes tables in place.
        server_version: The first number of the version of PostgreSQL.
    """

    def __init__(self, dialect: Dialect, schema: str | None) -> None:
        # Scripts are written for people: for the driver, percent signs would be doubled.
        kind: Any = type(dialect)
        self.dialect: Dialect = kind(paramstyle="named")
        self.on_postgresql = dialect.name == "postgresql"
        version: tuple[int, ...] | None = getattr(dialect, "server_version_info", None)
        self.server_version = version[0] if version else 0
        self._schema = schema

    def qualified(self, name: str) -> str:
        """Return the name of a table, an index or a type, quoted where it has to be."""
        schema = f"{self.quoted(self._schema)}." if self._schema else ""
        return schema + self.quoted(name)

    def quoted(self, name: str) -> str:
        """Return a name, quoted where it has to be."""
        return self.dialect.identifier_preparer.quote(name)

    def alter(self, table: str, change: str) -> str:
        """Return a change of a table."""
        return f"ALTER TABLE {self.qualified(table)} {change}"

    def create_table(self, name: str, enums: Collection[str]) -> tuple[str, ...]:
        """Return what makes a table, its indexes, and its types but for those in *enums*."""
        table = self.table(name)
        create = CreateTable(table)
        create.columns = [
            column for column in create.columns if is_there(column.element, self.dialect)
        ]
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        kinds = enums_of(Base.metadata.tables[name]) if self.on_postgresql else []
        return (
            *(self._create_enum(kind) for kind in kinds if kind.name not in enums),
            self._compiled(create),
            *(self.create_index(item) for item in indexes if is_there(item, self.dialect)),
        )

    def create_index(self, index: Index) -> str:
        """Return what makes an index."""
        return self._compiled(CreateIndex(index))

    def add_column(self, table: str, column: str) -> str:
        """Return what adds a column."""
        created = self._compiled(CreateColumn(self.table(table).columns[column]))
        return self.alter(table, f"ADD COLUMN {created}")

    def add_constraint(self, table: str, name: str) -> str:
        """Return what adds a constraint."""
        # By default the constraint would be left out of every CREATE TABLE from here on.
        constraint = self._constraint(table, name)
        return self._compiled(AddConstraint(constraint, isolate_from_table=False))

    def index(self, table: str, name: str) -> Index:
        """Return an index in the schema."""
        return next(index for index in self.table(table).indexes if index.name == name)

    def type_of(self, column: Column[Any]) -> str:
        """Return the type of a column as a statement names it."""
        return column.type.compile(self.dialect)

    def table(self, name: str) -> Table:
        """Return a table in the schema."""
        tables = _metadata(self._schema).tables
        return tables[f"{self._schema}.{name}" if self._schema else name]

    def _constraint(self, table: str, name: str) -> Constraint:
        return next(item for item in self.table(table).constraints if item.name == name)

    def _create_enum(self, kind: NativeEnum[Any]) -> str:
        labels = ", ".join(f"'{label}'" for label in labels_of(kind))
        return f"CREATE TYPE {self.qualified(kind.name)} AS ENUM ({labels})"

    def _compiled(self, element: ClauseElement) -> str:
        lines = str(element.compile(dialect=self.dialect)).strip().splitlines()
        return "\n".join(line.rstrip().replace("\t", "    ") for line in lines)


@cache
def _metadata(schema: str | None) -> MetaData:
    if schema is None:
        return Base.metadata
    copy = MetaData(naming_convention=NAMING_CONVENTION)
    for table in Base.metadata.sorted_tables:
        for column in table.to_metadata(copy, schema=schema).columns:
            if isinstance(column.type, NativeEnum):
                kind = column.type
                # The type of the models is shared by all copies, and names no schema.
                column.type = ENUM(*labels_of(kind), name=kind.name, schema=schema)
    return copy
