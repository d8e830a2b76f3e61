"""Storing the export of a tenant in another database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.database import Database
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.operations.tenant_data.belonging import Belonging, is_of_others
from agentdb.operations.tenant_data.encoding import decode_row
from agentdb.operations.tenant_data.exporting import ExportedRow
from agentdb.operations.tenant_data.files import ExportFile, require_revision
from agentdb.operations.tenant_data.segments import Segments
from agentdb.operations.tenant_data.tables import ORDER, table_named
from agentdb.types import RowId
from agentdb.unit_of_work import UnitOfWork

BATCH = 500
"""Rows of one statement."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportedTenant:
    """What an import stored.

    Attributes:
        tenant_id: The tenant.
        counts: The rows of the file by table, plans and people of others included, which may have
            been there already.
    """

    tenant_id: UUID
    counts: dict[str, int]


async def import_tenant(db: Database, lines: Iterable[str]) -> ImportedTenant:
    """Store an export that `write_export` wrote without redaction; all of it or nothing.

    The database may hold other tenants. UUIDs and all else stay as they are, but for the numbers
    that a database draws for its rows: they are drawn anew, in the old order. Cursors of readers
    are so not valid here. Plans are those of the same code, which must be there. Users who are no
    members and invites of others are taken from the database, if it has them by their id.

    Args:
        db: The database, at the revision that the export is of.
        lines: The lines of the file, as an open file yields them.

    Raises:
        DuplicateError: The tenant, a member or another row is there already, by its id or by
            another unique key.
        NotFoundError: There is no plan of that code, or a reference leads out of the file.
        SchemaVersionError: The export is of another revision of the schema.
        InvalidValueError: It is redacted, cut off, damaged or of another format.
        TenantMismatchError: A row is not of the tenant.
    """
    file = ExportFile(lines)
    if file.header.redacted:
        raise InvalidValueError("a redacted export cannot be imported: its secrets are missing")
    async with db.begin_system(reason=f"import of tenant {file.header.tenant}") as uow:
        await require_revision(uow, file.header)
        counts = await _Import(uow, file.header.tenant).store(file.rows())
    return ImportedTenant(file.header.tenant, counts)


class _Import:
    """One import, table by table."""

    def __init__(self, uow: UnitOfWork, tenant: UUID) -> None:
        self._uow = uow
        self._belonging = Belonging(uow, tenant)
        self._segments = Segments()
        self._plans: dict[UUID, UUID] = {}

    async def store(self, rows: Iterable[ExportedRow]) -> dict[str, int]:
        """Store all rows."""
        counts: Counter[str] = Counter()
        tables = iter(ORDER)
        for name, group in groupby(rows, attrgetter("table")):
            if name not in tables:  # goes on behind the table that it finds
                raise InvalidValueError("the export has an unknown table, or one out of order")
            counts[name] = await self._store_table(table_named(name), group)
        if not counts["tenant_accounts"]:
            raise InvalidValueError("the export is damaged: it has no tenant")
        await self._belonging.require(_segment_key(), self._segments.parents)
        await self._segments.settle(self._uow, BATCH)
        return dict(counts)

    async def _store_table(self, table: Table, group: Iterator[ExportedRow]) -> int:
        count, last = 0, 0
        while some := [decode_row(table, row) for _, row in islice(group, BATCH)]:
            last = _check_order(table, some, last)
            await self._belonging.check(table, some)
            await self._store_rows(table, some)
            count += len(some)
        return count

    async def _store_rows(self, table: Table, rows: list[Row]) -> None:
        match table.name:
            case "billing_plans":
                await self._match_plans(table, rows)
            case "tenant_subscriptions":
                await self._insert(
                    [{**r, "plan_id": self._plans[r["plan_id"]]} for r in rows], table
                )
            case "conversation_ledger_segments":
                await self._insert([self._segments.hold(row) for row in rows], table)
            case _ if _draws_numbers(table):
                await self._insert_numbered(table, rows)
            case _:
                await self._insert(rows, table)

    async def _match_plans(self, table: Table, rows: list[Row]) -> None:
        """Find the plans of the same codes."""
        wanted = {row["code"]: row["id"] for row in rows}
        query = select(table.c.code, table.c.id).where(table.c.code.in_(wanted))
        found: dict[str, UUID] = {row.code: row.id for row in await self._uow.execute(query)}
        if wanted.keys() - found.keys():
            raise NotFoundError("a plan of the export is not here by its code: add it first")
        self._plans.update({old: found[code] for code, old in wanted.items()})

    async def _insert(self, rows: list[Row], table: Table) -> None:
        own = [row for row in rows if not is_of_others(table.name, row)]
        others = [row for row in rows if is_of_others(table.name, row)]
        if own:
            await self._uow.execute(insert(table), own)
        if others:
            await self._uow.execute(self._unless_there(table), others)

    def _unless_there(self, table: Table) -> Insert:
        make = postgresql.insert if self._uow.is_postgresql else sqlite.insert
        return make(table).on_conflict_do_nothing(index_elements=["id"])

    async def _insert_numbered(self, table: Table, rows: list[Row]) -> None:
        """Insert rows whose numbers the database draws, in the order of the old ones."""
        fresh = [{name: value for name, value in row.items() if name != "id"} for row in rows]
        store = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        numbers: Sequence[int] = (await self._uow.execute(store, fresh)).scalars().all()
        if table.name == "conversation_ledger_events":
            self._segments.pass_frames(rows, numbers)


def _draws_numbers(table: Table) -> bool:
    return isinstance(table.c.get("id", table.primary_key.columns[0]).type, RowId)


def _segment_key() -> Any:
    return table_named("conversation_ledger_segments").c.id


def _check_order(table: Table, rows: Sequence[Row], last: int) -> int:
    """Refuse numbers that do not ascend: their order is what an import keeps."""
    if not _draws_numbers(table):
        return last
    for row in rows:
        if type(row["id"]) is not int or row["id"] <= last:
            raise InvalidValueError("the numbers of rows ascend", table=table.name, column="id")
        last = row["id"]
    return last
