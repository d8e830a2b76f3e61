"""Cases measured in turns within one run, and a database for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from statistics import median
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from agentdb import Database
from agentdb.testing import EmbeddedPostgres, PostgresTemplate
from agentdb.urls import sync_url

Case = Callable[[], Awaitable[int]]

ROUNDS = 7


async def compare(title: str, cases: Mapping[str, Case]) -> None:
    """Run every case in each round, and print median rates and their ratio to the first case."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        await case()  # connections, plans and caches are warm before the first round
    for _ in range(ROUNDS):
        for name, case in cases.items():
            started = time.perf_counter()
            done = await case()
            rates[name].append(done / (time.perf_counter() - started))
    _show(title, {name: median(found) for name, found in rates.items()})


def _show(title: str, rates: Mapping[str, float]) -> None:
    baseline = next(iter(rates.values()))
    table = Table("case", "per second", "ratio", title=title)
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / baseline:.2f}")
    Console().print(table)


@asynccontextmanager
async def fresh_database() -> AsyncGenerator[tuple[Database, psycopg.AsyncConnection]]:
    """Yield a migrated database, and a raw connection to it in autocommit."""
    template = PostgresTemplate(EmbeddedPostgres())
    url = template.clone()
    database = Database(url)
    plain = sync_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    raw = await psycopg.AsyncConnection.connect(plain, autocommit=True)
    try:
        yield database, raw
    finally:
        await raw.close()
        await database.dispose()
        template.close()


async def conversation_in(database: Database) -> tuple[UUID, UUID]:
    """Return the ids of a new tenant and of a conversation of its own."""
    async with database.begin_system(reason="benchmark") as uow:
        tenant = await uow.tenant_accounts.create_with_free_slug("Benchmark")
    async with database.begin(tenant=tenant.id) as uow:
        row, _ = await uow.agent_conversations.get_or_create("benchmark", "triage")
        await uow.conversation_ledger_segments.active(row.id)
    return tenant.id, row.id


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a benchmark from the command line."""

    async def call() -> None:
        await main()

    asyncio.run(call())
