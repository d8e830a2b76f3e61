"""Maintenance of conversations: what they leave behind, and what they count."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import URL
from typing_extensions import Unpack

from agentdb.conversations.models import AgentRunEvent, ConversationSummary
from agentdb.database import Database
from agentdb.maintenance.aged import Aged
from agentdb.maintenance.runner import PlanOptions, Report, run_aged
from agentdb.orm import Base

KEEP_RUN_EVENTS = timedelta(days=90)
"""How long the items of agent runs stay for an audit."""


async def purge_run_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_RUN_EVENTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete the items of agent runs that were stored long ago.

    The numbers of a conversation go on from its highest; where all its items were deleted, they
    begin at 0 again, and an item that is sent again is stored again.

    Args:
        db: The database, or its URL.
        older_than: Time since they were stored, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` items.
    """
    return await run_aged(db, older_than, options, RunEvents)


async def purge_summaries(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete summaries that have expired; those without an expiry stay.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` summaries.
    """
    return await run_aged(db, older_than, options, ExpiredSummaries)


class RunEvents(Aged):
    """Items of agent runs, in the order in which they were stored."""

    name = "purge_run_events"
    model: ClassVar[type[Base]] = AgentRunEvent
    stamp: ClassVar[str] = "ingested_at"


class ExpiredSummaries(Aged):
    """Summaries, in the order of their expiry."""

    name = "purge_summaries"
    model: ClassVar[type[Base]] = ConversationSummary
    stamp: ClassVar[str] = "expires_at"
