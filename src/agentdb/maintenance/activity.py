"""Maintenance of the activity feed."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import URL
from typing_extensions import Unpack

from agentdb.activity.models import ActivityEvent
from agentdb.database import Database
from agentdb.maintenance.aged import Aged
from agentdb.maintenance.runner import PlanOptions, Report, run_aged
from agentdb.orm import Base

KEEP_ACTIVITY_EVENTS = timedelta(days=365)
"""How long the feed goes back."""


async def purge_activity_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_ACTIVITY_EVENTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete events that were recorded long ago, and the receipts for them; checkpoints stay.

    Args:
        db: The database, or its URL.
        older_than: Time since they were recorded, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` events.
    """
    return await run_aged(db, older_than, options, ActivityEvents)


class ActivityEvents(Aged):
    """Events, the oldest first."""

    name = "purge_activity_events"
    model: ClassVar[type[Base]] = ActivityEvent
    stamp: ClassVar[str] = "created_at"
