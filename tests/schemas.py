"""Installations of agentdb in schemas of one database, and what a test does with each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from agentdb import Database, NewMessage
from agentdb.auth.models import User
from agentdb.auth.values import UserStatus
from agentdb.operations import sign_up
from agentdb.urls import sync_url
from tests.ledger.frames import frames
from tests.rows import Snapshot, rows_of, snapshot, store

EMAIL = "Ada@Example.com"
"""The address in all installations: where they mixed, the second would find it taken."""


@dataclass(frozen=True)
class Found:
    """What the verbs of one installation gave back.

    Attributes:
        plan: Name of the plan, and whether its second upsert made a row.
        transcript: Texts of the messages.
        pages: Positions of the messages, page by page.
        replayed: How many frames were replayed.
        people: How many users there are.
        active: How many of them are active.
        other_case: Whether the address is found in capitals.
    """

    plan: tuple[str, bool]
    transcript: list[str | None]
    pages: list[list[int]]
    replayed: int
    people: int
    active: int
    other_case: bool


def expected(label: str) -> Found:
    """Return what `use` gives back in an installation that held nothing."""
    return Found((label, False), [label, f"{label} again"], [[1], [0]], 3, 1, 1, other_case=True)


def run_sql(url: str, statement: LiteralString, *names: str) -> list[Any]:
    """Run one statement with identifiers filled in, and return its rows."""
    target = sync_url(url).set(drivername="postgresql")
    with psycopg.connect(
        target.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        found = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return found.fetchall() if found.description else []


async def use(database: Database, label: str) -> Found:
    """Run the main verbs of an installation that holds nothing yet."""
    tenant = await _sign_up(database)
    await _append(database, tenant, label)
    plan = await _upsert(database, label)
    async with database.read(tenant=tenant) as unit:
        transcript = [row.text for row in await unit.agent_messages.transcript("c")]
        replayed = len(await unit.conversation_ledger_events.replay("c"))
    pages = await _pages(database, tenant)
    async with database.read(reason="test") as unit:
        return Found(
            plan,
            transcript,
            pages,
            replayed,
            people=await unit.users.count(),
            active=await unit.users.count(User.status == UserStatus.ACTIVE),
            other_case=await unit.users.exists(User.email == EMAIL.upper()),
        )


async def _sign_up(database: Database) -> UUID:
    async with database.begin_system(reason="test") as unit:
        made = await sign_up(
            unit, email=EMAIL, password_hash="digest", tenant_name="Labs", activate=True
        )
        return made.tenant.id


async def _append(database: Database, tenant: UUID, label: str) -> None:
    async with database.begin(tenant=tenant) as unit:
        await unit.agent_conversations.get_or_create("c", "triage")
        said = [NewMessage(role="user", content=text) for text in (label, f"{label} again")]
        await unit.agent_messages.append("c", said)
        await unit.conversation_ledger_events.append("c", frames(3))


async def _upsert(database: Database, label: str) -> tuple[str, bool]:
    async with database.begin_system(reason="test") as unit:
        plan = {"code": "free", "name": "new", "price_cents": 0}
        await unit.billing_plans.upsert(plan, ["code"])
        row, created = await unit.billing_plans.upsert({**plan, "name": label}, ["code"])
        return row.name, created


async def _pages(database: Database, tenant: UUID) -> list[list[int]]:
    pages: list[list[int]] = []
    async with database.read(tenant=tenant) as unit:
        conversation = await unit.agent_conversations.by_ref("c")
        assert conversation is not None
        after: str | None = None
        while after is not None or not pages:
            page = await unit.agent_messages.for_conversation(conversation.id, after=after, limit=1)
            pages.append([row.position for row in page])
            after = page.next_cursor
    return pages


async def fill(database: Database, label: str) -> Snapshot:
    """Store a row in each of the 46 tables and return all that the installation holds."""
    async with database.begin_system(reason="test") as unit:
        await unit.session.run_sync(store, rows_of(label).values())
    return await content(database)


async def content(database: Database) -> Snapshot:
    """Return all that an installation holds."""
    async with database.read(reason="test") as unit:
        return await (await unit.session.connection()).run_sync(snapshot)
