"""Printing the frames of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import click

from agentdb.cli.databases import opened
from agentdb.cli.tenants import find_tenant
from agentdb.database import Database
from agentdb.errors import NotFoundError
from agentdb.ledger.repository import MAX_REPLAY
from agentdb.ledger.rows import LedgerFrame, LedgerPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What to print.

    Attributes:
        tenant: Slug of the tenant.
        conversation: The host's key of the conversation.
        after: Cursor of an earlier replay; None starts.
        limit: The most frames to print; None prints all.
    """

    tenant: str
    conversation: str
    after: str | None
    limit: int | None


async def replay(
    url: str, position: Position, *, schema: str | None = None, sse: bool = False
) -> None:
    """Print frames to stdout, and the cursor that continues after them to stderr."""
    write = _as_sse if sse else _as_line
    cursor = position.after
    async with opened(url, schema) as database:
        async for page in read_pages(database, position):
            text = "".join(write(frame, _raw(frame)) for frame in page)
            # Bytes: JSON is UTF-8, whatever the encoding of the terminal.
            click.echo(text.encode(), nl=False)
            cursor = page.cursor
    click.echo(f"cursor: {cursor}", err=True)


async def read_pages(database: Database, position: Position) -> AsyncIterator[LedgerPage]:
    """Yield the pages from a position on, each read by a unit of its own.

    A slow reader of the output so holds no transaction open.

    Raises:
        ClickException: There is no such tenant or conversation.
        InvalidCursorError: The cursor is damaged or of another conversation.
    """
    async with database.read(reason="replay") as uow:
        tenant = await find_tenant(uow, position.tenant)
    cursor, left, more = position.after, position.limit, True
    while more:
        limit = MAX_REPLAY if left is None else min(left, MAX_REPLAY)
        async with database.read(tenant=tenant) as uow:
            try:
                page = await uow.conversation_ledger_events.replay(
                    position.conversation, after=cursor, limit=limit
                )
            except NotFoundError:
                raise _no_conversation(position) from None
        yield page
        cursor, more = page.cursor, page.more
        if left is not None:
            left -= len(page)
            more = more and left > 0


def _no_conversation(position: Position) -> click.ClickException:
    return click.ClickException(
        f"the tenant {position.tenant!r} has no conversation {position.conversation!r}"
    )


def _raw(frame: LedgerFrame) -> str:
    if frame.raw is None:
        message = f"frame {frame.event_id} of {frame.stream_id!r} is in an object store"
        raise click.ClickException(message)
    return frame.raw


def _as_line(_: LedgerFrame, raw: str) -> str:
    return f"{raw}\n"


def _as_sse(frame: LedgerFrame, raw: str) -> str:
    # A kind is any text; a line break in it would begin a field of its own.
    kind = " ".join(frame.kind.split())
    return f"id: {frame.event_id}\nevent: {kind}\ndata: {raw}\n\n"
