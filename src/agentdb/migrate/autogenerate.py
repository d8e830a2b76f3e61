"""Keeping the autogenerate of a host's Alembic off our tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.schema import SchemaItem

from agentdb.migrate import rendering
from agentdb.migrate.tables import resembles
from agentdb.models import Base
from agentdb.version import VERSION_TABLE

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.runtime.environment import (
        IncludeNameFn,
        IncludeObjectFn,
        NameFilterParentNames,
        NameFilterType,
        RenderItemFn,
    )


@dataclass(frozen=True, slots=True)
class Filters:
    """The three functions that ``context.configure`` takes, for tables in a schema.

    A host passes all: without ``include_object`` our tables are proposed where the host has our
    metadata in its ``target_metadata``, without ``include_name`` all of them are read, and without
    ``render_item`` the revisions that refer to them lack an import.

    Attributes:
        schema: The schema of our tables; None for the default one of the host's connection.
    """

    schema: str | None = None

    def include_object(
        self,
        item: SchemaItem,
        name: str | None,
        kind: NameFilterType,
        reflected: bool,  # noqa: FBT001 -- Alembic passes it by position
        compare_to: SchemaItem | None,
    ) -> bool:
        """Tell Alembic whether something that it compares is the host's."""
        del name
        if kind == "table":
            return not self._is_our_table(cast("Table", item), reflected=reflected)
        if isinstance(item, ForeignKeyConstraint) and isinstance(compare_to, ForeignKeyConstraint):
            return not self._differs_in_schema_alone(item, compare_to)
        return True

    def include_name(
        self, name: str | None, kind: NameFilterType, parents: NameFilterParentNames
    ) -> bool:
        """Tell Alembic whether to look at something in the database at all."""
        if kind != "table" or parents.get("schema_name") != self.schema:
            return True
        return not _is_our_name(name)

    @staticmethod
    def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
        """Write what is ours in a revision of the host, so that it can be run."""
        return rendering.render_item(kind, item, context)

    def _is_our_table(self, table: Table, *, reflected: bool) -> bool:
        if table.metadata is Base.metadata:
            return True
        if not _is_our_name(table.name):
            return False
        if table.schema == self.schema:
            return True
        # The named schema may be on the search path of the host, where Alembic names none.
        return reflected and table.schema is None and _has_our_columns(table)

    def _differs_in_schema_alone(
        self, one: ForeignKeyConstraint, other: ForeignKeyConstraint
    ) -> bool:
        """Whether a reference to a table of ours names its schema on one side alone.

        The models name none: the option ``schema_translate_map`` does.
        """
        schemas = {one.referred_table.schema, other.referred_table.schema}
        is_ours = _is_our_name(one.referred_table.name)
        return is_ours and schemas == {None, self.schema} and _sense(one) == _sense(other)


def _is_our_name(name: str | None) -> bool:
    return name == VERSION_TABLE or name in Base.metadata.tables


def _has_our_columns(table: Table) -> bool:
    return table.name == VERSION_TABLE or resembles(table.name, set(table.columns.keys()))


def _sense(reference: ForeignKeyConstraint) -> tuple[object, ...]:
    """Return all that a reference says but for the schema of its target."""
    return (
        reference.column_keys,
        reference.referred_table.name,
        [element.column.name for element in reference.elements],
        _rule(reference.ondelete),
        _rule(reference.onupdate),
        bool(reference.deferrable),
        _rule(reference.initially),
    )


def _rule(said: str | None) -> str | None:
    """Return what a clause does, None where that is the default."""
    rule = (said or "").lower()
    return None if rule in {"", "no action", "immediate"} else rule


def filters(schema: str | None = None) -> Filters:
    """Return what ``context.configure`` takes, for tables of ours in a named schema."""
    return Filters(schema)


include_object: IncludeObjectFn = Filters().include_object
"""For ``context.configure(include_object=…)`` in the ``env.py`` of a host."""

include_name: IncludeNameFn = Filters().include_name
"""For ``context.configure(include_name=…)``: our tables are not even read."""

render_item: RenderItemFn = rendering.render_item
"""For ``context.configure(render_item=…)``: writes references to our tables that can be run."""
