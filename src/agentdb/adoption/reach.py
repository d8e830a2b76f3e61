"""What of a database can be asked, given how it differs from the models."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from agentdb.catalog import Difference, Kind
from agentdb.catalog.ddl import Ddl

_ABSENT = {Kind.MISSING_TABLE, Kind.FOREIGN_TABLE}


@dataclass(frozen=True, slots=True)
class Reach:
    """A connection, and what it leads to.

    Attributes:
        connection: To the database.
        schema: Schema of the tables.
        differences: How the tables differ from the models.
    """

    connection: Connection
    schema: str | None
    differences: Collection[Difference]

    @property
    def ddl(self) -> Ddl:
        """Names and statements in the schema."""
        return Ddl(self.connection.dialect, self.schema)

    def has(self, table: str, columns: Iterable[str] = (), *, of_our_types: bool = False) -> bool:
        """Whether a table is there with these columns, and, if asked, with our types."""
        lacking = {Kind.MISSING_COLUMN, Kind.TYPE} if of_our_types else {Kind.MISSING_COLUMN}
        wanted = set(columns)
        return not any(
            d.table == table and (d.kind in _ABSENT or (d.kind in lacking and d.item in wanted))
            for d in self.differences
        )
