"""All that is stored, read in one statement by a connection that nothing confines."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from agentdb.orm import Base
from tests.rows import MODELS, attribute_of, table_of
from tests.tenancy.fuzz.population import Population

Contents: TypeAlias = dict[tuple[str, str], str]
"""The text of each row, by its table and the text of its key."""

FIRST_NEW = 5_000_000_000
"""The first number that the database draws for a key while the fuzzer runs."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?")
_DRAWN = re.compile(r"(?<!\d)5\d{9}(?!\d)")


@cache
def everything(dialect: str) -> str:
    """Return the query for the contents of all tables."""
    return " UNION ALL ".join(_of(table_of(model), dialect) for model in MODELS.values())


def _of(table: Table, dialect: str) -> str:
    keys = [column.name for column in table.primary_key]
    if dialect == "postgresql":
        return (
            f"SELECT '{table.name}', concat_ws('/', {', '.join(keys)}), t::text FROM {table.name} t"
        )
    names = [column.name for column in table.columns if column.computed is None]
    key, row = (" || '/' || ".join(f"quote({name})" for name in some) for some in (keys, names))
    return f"SELECT '{table.name}', {key}, {row} FROM {table.name}"


def contents(connection: Connection) -> Contents:
    """Return all rows of a database."""
    rows = connection.exec_driver_sql(everything(connection.dialect.name))
    return {(table, key): text for table, key, text in rows}


async def contents_of(connection: AsyncConnection) -> Contents:
    """Return all rows, as the transaction of a connection sees them."""
    return await connection.run_sync(contents)


def stored_key(row: Base, dialect: str) -> str:
    """Return the text that the contents have for the key of a row."""
    columns = table_of(type(row)).primary_key.columns
    values: list[Any] = [getattr(row, attribute_of(column)) for column in columns]
    if dialect == "postgresql":
        return "/".join(map(str, values))
    texts = [v if isinstance(v, int) else f"'{getattr(v, 'hex', v)}'" for v in values]
    return "/".join(map(str, texts))


class Scrubber:
    """Replaces what differs each time: keys that are new, and instants of the clock."""

    def __init__(self, population: Population) -> None:
        told = [str(v) for e in population.entries for v in vars(e.row).values()]
        self._known = {found.replace("-", "").lower() for t in told for found in _UUID.findall(t)}
        self._days = {found[:10] for text in told for found in _TIME.findall(text)}

    def __call__(self, text: str) -> str:
        """Return *text* without them."""
        text = _UUID.sub(self._uuid, text)
        text = _TIME.sub(lambda m: m[0] if m[0][:10] in self._days else "<time>", text)
        return _DRAWN.sub("<number>", text)

    def _uuid(self, found: re.Match[str]) -> str:
        plain = found[0].replace("-", "").lower()
        return plain if plain in self._known else "<uuid>"
