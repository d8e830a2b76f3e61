"""Keeping the autogenerate of a host's Alembic off our tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Table
from sqlalchemy.schema import SchemaItem

from agentdb.models import Base
from agentdb.version import VERSION_TABLE

IncludeObject: TypeAlias = Callable[[SchemaItem, str | None, str, bool, SchemaItem | None], bool]
IncludeName: TypeAlias = Callable[[str | None, str, Mapping[str, str | None]], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """The two functions that ``context.configure`` takes, for tables in a schema.

    Attributes:
        schema: The schema of our tables; None for the one of the search path.
    """

    schema: str | None = None

    def include_object(
        self,
        item: SchemaItem,
        name: str | None,
        kind: str,
        reflected: bool,  # noqa: FBT001 -- Alembic passes it by position
        compare_to: SchemaItem | None,
    ) -> bool:
        """Tell Alembic whether something that it compares is the host's."""
        del reflected, compare_to
        if kind != "table" or not isinstance(item, Table):
            return True
        return item.metadata is not Base.metadata and not self._is_ours(name, item.schema)

    def include_name(self, name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        """Tell Alembic whether to look at something in the database at all."""
        if kind == "schema":
            return name is None or name != self.schema
        return kind != "table" or not self._is_ours(name, parents.get("schema_name"))

    def _is_ours(self, name: str | None, schema: str | None) -> bool:
        return schema == self.schema and (name == VERSION_TABLE or name in Base.metadata.tables)


def filters(schema: str | None = None) -> Filters:
    """Return ``include_object`` and ``include_name`` for tables of ours in a named schema."""
    return Filters(schema)


include_object: IncludeObject = Filters().include_object
"""For ``context.configure(include_object=…)`` in the ``env.py`` of a host."""

include_name: IncludeName = Filters().include_name
"""For ``context.configure(include_name=…)``: our tables are not even read."""
