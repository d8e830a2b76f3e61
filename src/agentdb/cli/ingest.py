"""Storing recorded streams."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from agentdb.cli.databases import opened
from agentdb.cli.ndjson import find_bad_line, read_batches
from agentdb.cli.tenants import find_tenant
from agentdb.errors import InvalidValueError
from agentdb.unit_of_work import UnitOfWork

LONG = 1024 * 1024
"""Bytes from which a file gets a progress bar; a shorter one takes less than a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where streams go.

    Attributes:
        tenant: Slug of the tenant.
        create: Whether an unknown tenant is created.
        conversation: The host's key of the conversation, which is created if there is none.
        agent_entrypoint: The agent that a new conversation is opened by.
    """

    tenant: str
    create: bool
    conversation: str
    agent_entrypoint: str


@dataclass(slots=True)
class Stored:
    """What became of the frames of a file."""

    new: int = 0
    skipped: int = 0


async def ingest(
    url: str, files: Sequence[Path], destination: Destination, *, schema: str | None = None
) -> None:
    """Store each file in a unit of work of its own, and tell what became of its frames."""
    async with opened(url, schema) as database:
        for path in files:
            work = partial(store_file, path=path, destination=destination)
            # A system unit, as the tenant may have to be made with the rest, or not at all.
            stored = await database.run(work, reason=f"ingest {path.name}")
            click.echo(f"{path}: {stored.new} frames stored, {stored.skipped} skipped")


async def store_file(uow: UnitOfWork, *, path: Path, destination: Destination) -> Stored:
    """Store the frames of a file; those that are recorded already are skipped."""
    tenant = await find_tenant(uow, destination.tenant, create=destination.create)
    conversation, _ = await uow.agent_conversations.get_or_create(
        destination.conversation, destination.agent_entrypoint, tenant_id=tenant
    )
    stored = Stored()
    with _progress(path) as advance:
        for batch in read_batches(path, advance):
            try:
                recorded = await uow.conversation_ledger_events.append(
                    conversation.id, batch.frames, tenant_id=tenant
                )
            except InvalidValueError:
                find_bad_line(path, batch)
                raise
            new = sum(frame.inserted for frame in recorded)
            stored.new += new
            stored.skipped += len(recorded) - new
    return stored


@contextmanager
def _progress(path: Path) -> Generator[Callable[[int], object]]:
    """Show how far a long file is stored, if somebody sits before the terminal."""
    console = Console(stderr=True)
    size = path.stat().st_size
    with Progress(
        console=console, transient=True, disable=size < LONG or not console.is_terminal
    ) as progress:
        task = progress.add_task(path.name, total=size)
        yield lambda done: progress.advance(task, done)
