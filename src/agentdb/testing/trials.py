"""The calls by which one tenant is tried beside another, and what is wrong with the answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from agentdb.database import Database
from agentdb.errors import ConfigurationError
from agentdb.orm import Base
from agentdb.testing.cases import Call, Prepare, TenantCase
from agentdb.testing.factories.references import target_of
from agentdb.testing.marks import Marks, Names
from agentdb.testing.samples import Rows
from agentdb.testing.shown import collected, shown, told_by
from agentdb.testing.snapshots import Snapshot, differences, snapshot
from agentdb.testing.two_tenants import (
    DAYS,
    NOBODY,
    Party,
    labels_beside,
    restart_numbers,
    rows_beside,
    rows_of,
    shared_rows,
    store_in,
)

_WIDTH = 200
"""Characters that a finding shows of a difference."""


@asynccontextmanager
async def undone(database: Database) -> AsyncGenerator[AsyncConnection]:
    """Yield a connection in whose transaction all others are; it is rolled back in the end."""
    async with database.engine.connect() as connection:
        await connection.begin()
        yield connection


@dataclass(frozen=True)
class Answer:
    """What a call led to.

    Attributes:
        told: What its caller can tell from the result or the error.
        seen: The same, and the causes of the error.
        raised: The error, None if it returned.
        changes: The rows that were added, changed or deleted; empty where a row is gone.
    """

    told: str
    seen: str
    raised: Exception | None
    changes: Snapshot

    def written(self, names: Names) -> str:
        """Return what the call wrote, with names for keys."""
        rows = (f"{key[0]} {shown(row)}" for key, row in self.changes.items())
        return "\n".join(sorted(names.put_into(row) for row in rows))


@dataclass(frozen=True)
class Setting:
    """What is tried.

    Attributes:
        call: The function.
        database: Where all of it is undone.
        prepare: Stores further rows of a tenant.
        tables: Tables of the host that are watched too.
    """

    call: Call
    database: Database
    prepare: Prepare | None
    tables: Sequence[Table]


class Trial:
    """The calls of one tenant beside another."""

    def __init__(self, setting: Setting, own: Party, other: Party) -> None:
        """Make the rows; nothing is stored."""
        self._setting = setting
        self._own, self._other = own, other
        shared = shared_rows()
        self._rows = rows_of(own, shared)
        self._foreign = rows_of(other, shared)
        self._nobodys = rows_of(NOBODY, shared)
        self._tenant = self._rows["tenant_accounts"].id
        self._stored: Snapshot = {}

    async def findings(self, connection: AsyncConnection) -> list[str]:
        """Return what passes from one tenant to the other.

        Args:
            connection: In a transaction of its own; what is stored is left in it.
        """
        names = Names(self._rows, self._own.label, DAYS)
        await self._store(connection, self._rows, [*self._rows.values()])
        alone, before = await self._alone(names), self._stored
        foreign = [row for name, row in self._foreign.items() if row is not self._rows[name]]
        beside = rows_beside(self._rows, self._foreign)
        await self._store(connection, self._foreign, [*foreign, *beside])
        secret = {key: row for key, row in self._stored.items() if key not in before}
        marks = Marks(secret.values(), before.values(), labels_beside(self._own))
        own = await self._answer(self._rows)
        found = [*_shows(own, marks), *self._touches(own, before)]
        found += _differs("beside another tenant", own, alone, names, names)
        return found or await self._strangers(before)

    async def _alone(self, names: Names) -> Answer:
        """Return the answer while there is no other tenant."""
        first, again = await self._answer(self._rows), await self._answer(self._rows)
        if first.raised is not None:
            raise first.raised
        if _differs("", first, again, names, names):
            raise ConfigurationError("the call differs from time to time: leave out what is random")
        return first

    async def _strangers(self, before: Snapshot) -> list[str]:
        """Compare what is told of foreign rows with what is told of rows that nobody has."""
        theirs, nobodys = await self._answer(self._foreign), await self._answer(self._nobodys)
        names = Names(self._foreign, self._other.label, DAYS)
        unknown = Names(self._nobodys, NOBODY.label, DAYS)
        when = "told of rows of another tenant, not of rows that nobody has,"
        return [*self._touches(theirs, before), *_differs(when, theirs, nobodys, names, unknown)]

    def _touches(self, answer: Answer, own: Snapshot) -> Iterator[str]:
        secret = {key: row for key, row in self._stored.items() if key not in own}
        return _touches(answer, secret, own, self._setting.tables)

    async def _store(self, connection: AsyncConnection, rows: Rows, added: list[Base]) -> None:
        await connection.run_sync(store_in, added)
        if self._setting.prepare is not None:
            tenant = rows["tenant_accounts"].id
            case = TenantCase(self._setting.database, tenant, rows)
            await self._setting.prepare(case)
            await case.commit()
            await case.close()
        self._stored = await connection.run_sync(snapshot, self._setting.tables)

    async def _answer(self, rows: Rows) -> Answer:
        """Call the function with *rows*, and undo what it does."""
        case = TenantCase(self._setting.database, self._tenant, rows)
        async with undone(self._setting.database) as connection:
            await connection.run_sync(restart_numbers)
            try:
                told, seen, raised = await _outcome(self._setting.call, case)
                after = await connection.run_sync(snapshot, self._setting.tables)
            finally:
                await case.close()
        changes = {key: after.get(key, {}) for key in differences(self._stored, after)}
        return Answer(told, seen, raised, changes)


async def _outcome(call: Call, case: TenantCase) -> tuple[str, str, Exception | None]:
    try:
        result = await collected(call(case))
        await case.flush()
    except Exception as error:  # noqa: BLE001 -- whatever it raises is an answer
        await case.roll_back()
        return shown(told_by(error)), shown(error), error
    return shown(result), shown(result), None


def _shows(answer: Answer, marks: Marks) -> Iterator[str]:
    what = "the result" if answer.raised is None else "the error"
    if found := marks.found_in(answer.seen):
        yield f"{what} shows {', '.join(found)}"
    for (table, _), row in answer.changes.items():
        if found := marks.found_in(shown(row)):
            yield f"a row written to {table} shows {', '.join(found)}"


def _touches(
    answer: Answer, secret: Snapshot, own: Snapshot, tables: Sequence[Table]
) -> Iterator[str]:
    """Yield the foreign rows that were changed, and the references to them."""
    keys = _keys(secret) - _keys(own)
    known = {table.name: table for table in (*Base.metadata.tables.values(), *tables)}
    for (table, key), row in answer.changes.items():
        if (table, key) in secret:
            yield f"a row of another tenant was {'changed' if row else 'deleted'} in {table}"
            continue
        for column in known[table].columns:
            if _refers(column) and _plain(row.get(column.name)) in keys:
                yield f"{column} of a written row refers to a row of another tenant"


def _differs(
    when: str, answer: Answer, expected: Answer, names: Names, expected_names: Names
) -> list[str]:
    """Compare two answers by the names of the rows that each was told of."""
    pairs = [
        ("it tells", names.put_into(answer.told), expected_names.put_into(expected.told)),
        ("it writes", answer.written(names), expected.written(expected_names)),
    ]
    return [
        f"{when} {what} {_first(found, wanted)} instead of {_first(wanted, found)}"
        for what, found, wanted in pairs
        if found != wanted
    ]


def _first(text: str, other: str) -> str:
    """Return where *text* begins to differ."""
    lines, others = text.splitlines(), other.splitlines()
    for number, line in enumerate(lines):
        if number >= len(others) or line != others[number]:
            return repr(line[:_WIDTH])
    return "nothing"


def _refers(column: Column[Any]) -> bool:
    ours = column.table.name in Base.metadata.tables
    return bool(column.foreign_keys) or (ours and target_of(column) is not None)


def _keys(rows: Snapshot) -> set[str]:
    return {_plain(value) for _, key in rows for value in key}


def _plain(value: object) -> str:
    return str(value).replace("-", "")
