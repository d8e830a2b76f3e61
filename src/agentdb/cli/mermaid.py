"""Tables as an entity-relationship diagram: https://mermaid.js.org/syntax/entityRelationshipDiagram.html."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentdb.cli.describe import DescribedColumn, DescribedTable

_NO_TYPE = re.compile(r"[^A-Za-z0-9_()]+")
"""What a type may not have in Mermaid: spaces and quotes."""


def render(tables: Sequence[DescribedTable]) -> str:
    """Return the diagram of *tables*, and of their foreign keys to any table."""
    return "\n".join(["erDiagram", *_entities(tables), *_relationships(tables), ""])


def _entities(tables: Sequence[DescribedTable]) -> Iterator[str]:
    for table in tables:
        unique = {i.columns[0] for i in table.indexes if i.unique and len(i.columns) == 1}
        yield f"    {table.name} {{"
        for column in table.columns:
            yield f"        {_attribute(column, is_unique=column.name in unique)}"
        yield "    }"


def _attribute(column: DescribedColumn, *, is_unique: bool) -> str:
    marks = {"PK": column.primary_key, "FK": column.references is not None, "UK": is_unique}
    keys = ", ".join(mark for mark, has in marks.items() if has)
    kind = _NO_TYPE.sub("_", (column.type.postgresql or "").lower())
    comment = '"null"' if column.nullable else ""
    return " ".join(part for part in (kind, column.name, keys, comment) if part)


def _relationships(tables: Sequence[DescribedTable]) -> Iterator[str]:
    for table in tables:
        alone = {i.columns[0] for i in table.indexes if i.unique and len(i.columns) == 1}
        for column in table.columns:
            if column.references is None:
                continue
            parent = "|o" if column.nullable else "||"
            child = "o|" if column.name in alone and not _is_partial(table, column.name) else "o{"
            yield f"    {column.references.table} {parent}--{child} {table.name} : {column.name}"


def _is_partial(table: DescribedTable, column: str) -> bool:
    """Whether no index makes the values of *column* unique among all rows."""
    alone = [i for i in table.indexes if i.unique and i.columns == [column]]
    return all(index.where is not None for index in alone)
