"""Tenants with rows in every table that can hold some of theirs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, String, cast, or_, select

from agentdb import Database, NewMessage
from agentdb.operations import append_messages, truncate_from
from agentdb.operations.tenant_data import export_tenant
from agentdb.orm import Base
from agentdb.testing.snapshots import Snapshot, snapshot
from agentdb.testing.two_tenants import (
    PARTIES,
    Party,
    rows_beside,
    rows_of,
    shared_rows,
    store_in,
)
from agentdb.types import JsonObject, Uuid
from tests.ledger.frames import frames, read_stream, recorded_streams

Rows = dict[str, Any]
Exported = list[tuple[str, JsonObject]]


def store_one(connection: Connection, party: Party = PARTIES[0]) -> Rows:
    """Store a tenant alone, whose people are members nowhere else."""
    rows = tied(rows_of(party, shared_rows()))
    store_in(connection, list(rows.values()))
    return rows


def store_two(connection: Connection) -> tuple[Rows, Rows]:
    """Store two tenants, and what ties them: people of one who are members of the other."""
    shared = shared_rows()
    one, other = (tied(rows_of(party, shared)) for party in PARTIES)
    rest = [row for name, row in other.items() if name not in shared]
    store_in(connection, [*one.values(), *rest, *rows_beside(one, other)])
    return one, other


def tied(rows: Rows) -> Rows:
    """Return rows whose Stripe event says whose it is, and whose segment says what is seen.

    The payload of the frame is in its object alone: neither may go before the other.
    """
    frame = rows["conversation_ledger_events"]
    frame.payload_json = None
    rows["conversation_ledger_segments"].visible_through_event_id = frame.id
    rows["stripe_events"].tenant_hint = str(rows["tenant_accounts"].id)
    return rows


async def exported(db: Database, tenant: UUID, *, redact: bool = False) -> Exported:
    """Return a whole export."""
    return [(table, row) async for table, row in export_tenant(db, tenant, redact=redact)]


def traces(connection: Connection, tenant: UUID) -> set[str]:
    """Return the columns of any table that hold the id of a tenant, in whatever form."""
    found: set[str] = set()
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.computed is not None:
                continue
            text = cast(column, String)
            holds = (
                column == tenant
                if isinstance(column.type, Uuid)
                else or_(text.contains(str(tenant)), text.contains(tenant.hex))
            )
            if connection.execute(select(column).where(holds).limit(1)).first() is not None:
                found.add(f"{table.name}.{column.name}")
    return found


def rows_in(connection: Connection) -> Snapshot:
    """Return all that is stored now, in a transaction of its own."""
    stored = snapshot(connection)
    connection.rollback()
    return stored


async def converse(db: Database, tenant: UUID) -> UUID:
    """Store a conversation with two segments, frames on both sides of the cut, and spoken words."""
    streams = [read_stream(path) for path in recorded_streams()] or [frames(12)]
    async with db.begin(tenant=tenant) as uow:
        said = await append_messages(uow, "support", _said("a", "b"), create="triage")
        key = said.conversation.id
        for number, stream in enumerate(streams):
            await uow.conversation_ledger_events.append(key, renamed(stream, f"early-{number}"))
        asked = await append_messages(uow, key, _said("c", "d"))
        await uow.conversation_ledger_events.append(key, frames(5, "hidden"))
        await truncate_from(uow, key, asked.rows[0].id)
        await append_messages(uow, key, _said("e"))
        await uow.conversation_ledger_events.append(key, frames(7, "late"))
    return key


def renamed(stream: list[dict[str, Any]], stream_id: str) -> list[dict[str, Any]]:
    """Return a recorded stream as one of its own."""
    return [{**frame, "stream_id": stream_id} for frame in stream]


def _said(*texts: str) -> list[NewMessage]:
    return [NewMessage(role="user", content=text) for text in texts]


def numberless(rows: Exported) -> Exported:
    """Return an export with the ranks of rows in place of the numbers that a database drew."""
    ranks = _ranks(rows)
    return [(table, _ranked(table, row, ranks)) for table, row in rows]


def _ranks(rows: Exported) -> dict[str, list[tuple[int, str | None]]]:
    """Return the numbers of each table and the segments of their rows, in the order of rows."""
    found: dict[str, list[tuple[int, str | None]]] = {}
    for table, row in rows:
        if type(row.get("id")) is int:
            found.setdefault(table, []).append((row["id"], row.get("segment_id")))
    return found


def _ranked(table: str, row: JsonObject, ranks: dict[str, list[tuple[int, str | None]]]) -> Any:
    if table in ranks:
        return {**row, "id": [number for number, _ in ranks[table]].index(row["id"])}
    bound = row.get("visible_through_event_id")
    if bound is None:
        return row
    seen = [n for n, segment in ranks["conversation_ledger_events"] if segment == row["id"]]
    return {**row, "visible_through_event_id": sum(number <= bound for number in seen)}
