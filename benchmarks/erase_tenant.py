"""Erase one tenant among many, and what its export and import take.

Each tenant has 4,000 rows in the tables that grow, loaded by SQL; 200 of them are 800,000 rows. The
raw case deletes the row of the tenant and leaves the rest to the cascades of the foreign keys: it
is the least that a database does, though rows without a foreign key stay behind.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from agentdb import Database
from agentdb.operations import erase_tenant, import_tenant, write_export
from benchmarks.harness import Bench, Case, Raw, conversation_in

TENANTS = 200
ROWS = 4000
"""Of each tenant."""

LOAD = (
    """
    INSERT INTO tenant_accounts (id, slug, name, created_at)
    SELECT gen_random_uuid(), 'loaded-' || n, 'Loaded', now() FROM generate_series(1, %(tenants)s) n
    """,
    """
    INSERT INTO agent_conversations
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'id', gen_random_uuid(), 'tenant_id', t.id, 'conversation_key', t.id || ':' || n))).*
    FROM agent_conversations c
    CROSS JOIN tenant_accounts t CROSS JOIN generate_series(1, 40) n
    WHERE c.id = %(model)s AND t.slug LIKE 'loaded-%%'
    """,
    """
    INSERT INTO conversation_ledger_segments
        (id, tenant_id, conversation_id, segment_index, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, id, 0, now(), now() FROM agent_conversations
    WHERE id <> %(model)s
    """,
    """
    INSERT INTO agent_messages (conversation_id, segment_id, position, role, content, created_at)
    SELECT conversation_id, id, n, 'user', '{"text": "a question about an order"}', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(0, 39) n
    WHERE conversation_id <> %(model)s
    """,
    """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, payload_json, ingested_at)
    SELECT tenant_id, conversation_id, id, 'public_sse_v1', 'message.delta', 's', n, now(),
        '{"delta": "some words"}', now()
    FROM conversation_ledger_segments CROSS JOIN generate_series(1, 40) n
    WHERE conversation_id <> %(model)s
    """,
    """
    INSERT INTO activity_events (id, tenant_id, action, created_at, status)
    SELECT gen_random_uuid(), id, 'conversation.created', now(), 'success'
    FROM tenant_accounts CROSS JOIN generate_series(1, 719) n
    WHERE slug LIKE 'loaded-%%'
    """,
    "ANALYZE",
)


async def load(database: Database, raw: Raw, tenants: int) -> list[UUID]:
    """Store the tenants, and return their ids."""
    _, model = await conversation_in(database)
    for statement in LOAD:
        await raw.execute(statement.encode(), {"tenants": tenants, "model": model}, prepare=False)
    found = await raw.execute("SELECT id FROM tenant_accounts WHERE slug LIKE 'loaded-%'")
    return [row[0] for row in await found.fetchall()]


async def erase(database: Database, tenant: UUID, **options: Any) -> int:
    """Erase a tenant, and make sure that it was the whole."""
    counts = await erase_tenant(database, tenant, **options)
    if sum(counts.values()) != ROWS:
        raise SystemExit(f"a tenant had {sum(counts.values())} rows")
    return ROWS


@dataclass(slots=True)
class Moving:
    """A tenant that is moved out and in again.

    Attributes:
        database: Where it is.
        tenant: The tenant.
        lines: What was exported of it.
        away: Whether it is erased just now.
    """

    database: Database
    tenant: UUID
    lines: list[str] = field(default_factory=list[str])
    away: bool = False

    async def export(self) -> int:
        """Write it to a file."""
        file = io.StringIO()
        await write_export(self.database, self.tenant, file, redact=False)
        self.lines = file.getvalue().splitlines()
        return ROWS

    async def erase(self) -> int:
        """Erase it in batches."""
        self.away = True
        return await erase(self.database, self.tenant, batch=500)

    async def restore(self) -> int:
        """Import it again."""
        self.away = False
        await import_tenant(self.database, self.lines)
        return ROWS

    async def be_there(self) -> None:
        """Import it, if it is away."""
        if self.away:
            await self.restore()

    async def be_away(self) -> None:
        """Erase it, if it is there."""
        if not self.away:
            await self.erase()


async def measure(bench: Bench) -> None:
    """Measure the cases in turns, each on a tenant that no other has touched."""
    place = await bench.place()
    tenants = iter(await load(place.database, place.raw, bench.size(TENANTS, 8)))
    moving = Moving(place.database, next(tenants))

    async def cascade() -> int:
        await place.raw.execute("DELETE FROM tenant_accounts WHERE id = %s", [next(tenants)])
        return ROWS

    dry = partial(erase, place.database, moving.tenant, dry_run=True)
    cases = [
        Case("delete the tenant, by cascade", cascade, "baseline"),
        Case("erase_tenant", lambda: erase(place.database, next(tenants))),
        Case("erase_tenant, dry run", dry, prepare=moving.be_there),
        Case("write_export", moving.export, prepare=moving.be_there),
        Case("erase_tenant, batches of 500", moving.erase, prepare=moving.be_there),
        Case("import_tenant", moving.restore, prepare=moving.be_away),
    ]
    await bench.compare("4,000 rows among 800,000", cases, unit="rows")
