"""The whole story on one page: what ``agentdb demo`` runs."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from agentdb.conversations.rows import NewMessage
from agentdb.database import Database
from agentdb.operations import sign_up
from agentdb.urls import async_url

KEY = "order-4711"
QUESTION = "Where is my order 4711?"


@dataclass(slots=True)
class Report:
    """What the demonstration did, a step a row."""

    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, call: str, result: str) -> None:
        """Note a step."""
        self.steps.append((call, result))

    def print(self, title: str) -> None:
        """Print the steps as a table."""
        table = Table(title=title, title_justify="left", show_lines=False)
        table.add_column("What was called", style="cyan", overflow="fold")
        table.add_column("What it did", overflow="fold")
        for step in self.steps:
            table.add_row(*step)
        Console().print(table)


def demo(url: str | None, *, schema: str | None = None) -> None:
    """Run the story on the database, or on one that is gone afterwards."""
    if url is not None:
        asyncio.run(_story(url, schema)).print(f"agentdb on {async_url(url).get_backend_name()}")
        return
    # Windows cannot delete a file that a lingering thread of the driver has open.
    with tempfile.TemporaryDirectory(prefix="agentdb-", ignore_cleanup_errors=True) as folder:
        report = asyncio.run(_story(f"sqlite:///{Path(folder) / 'demo.sqlite3'}", schema))
    report.print("agentdb on a temporary sqlite database")


def example_frames() -> list[dict[str, Any]]:
    """Return the frames of the packaged example: an agent looks up an order and answers."""
    text = resources.files("agentdb").joinpath("data", "demo.ndjson").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def _story(url: str, schema: str | None) -> Report:
    report = Report()
    async with Database(url, schema=schema) as database:
        await database.upgrade()
        report.add("Database.upgrade()", f"schema at {(await database.health()).revision}")

        # Each run signs up a tenant of its own, so that it can be repeated on one database.
        run = secrets.token_hex(4)
        async with database.begin_system(reason="demo sign-up") as uow:
            tenant, user, membership = await sign_up(
                uow,
                email=f"ada-{run}@example.com",
                password_hash="!",  # noqa: S106 -- matches no password
                tenant_name="Acme",
                slug_hint=f"acme-{run}",
                activate=True,
            )
        report.add("operations.sign_up()", f"tenant {tenant.slug}, {membership.role} {user.email}")
        await _converse(database, tenant.id, user.id, report)
    return report


async def _converse(database: Database, tenant: UUID, user: UUID, report: Report) -> None:
    frames = example_frames()
    async with database.begin(tenant=tenant) as uow:
        conversation, _ = await uow.agent_conversations.get_or_create(
            KEY, agent_entrypoint="support", user_id=user
        )
        report.add("agent_conversations.get_or_create()", f"conversation {KEY}")
        await uow.agent_messages.append(
            conversation.id, [NewMessage(role="user", content=QUESTION)]
        )
        recorded = await uow.conversation_ledger_events.append(conversation.id, frames)
        new = sum(frame.inserted for frame in recorded)
        report.add("conversation_ledger_events.append()", f"{new} frames stored")
        answer = NewMessage(role="assistant", content=frames[-1]["final"]["response_text"])
        await uow.agent_messages.append(conversation.id, [answer])

    async with database.begin(tenant=tenant) as uow:
        again = await uow.conversation_ledger_events.append(KEY, frames)
        skipped = sum(not frame.inserted for frame in again)
        report.add("conversation_ledger_events.append()", f"sent again: {skipped} skipped")

    async with database.read(tenant=tenant) as uow:
        transcript = await uow.agent_messages.transcript(KEY)
        for message in transcript:
            report.add("agent_messages.transcript()", f"{message.role}: {message.text}")
        page = await uow.conversation_ledger_events.replay(KEY)
    if [frame.payload for frame in page] != frames:
        raise click.ClickException("the replayed frames differ from the stored ones")
    report.add("conversation_ledger_events.replay()", f"{len(page)} frames, equal to those stored")
