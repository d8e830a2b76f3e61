"""Maintenance of the logs of attempts to log in and of security events."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from sqlalchemy import URL
from typing_extensions import Unpack

from agentdb.auth.models import SecurityEvent, UserLoginEvent
from agentdb.database import Database
from agentdb.maintenance.aged import Aged
from agentdb.maintenance.runner import PlanOptions, Report, run_aged
from agentdb.orm import Base

KEEP_LOGIN_EVENTS = timedelta(days=90)
"""How long attempts to log in stay."""

KEEP_SECURITY_EVENTS = timedelta(days=365)
"""How long security events stay for an audit."""


async def purge_login_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_LOGIN_EVENTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete attempts to log in that were long ago.

    Those that failed within the window of a lockout have to stay: it counts them.

    Args:
        db: The database, or its URL.
        older_than: Time since the attempt, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` attempts.
    """
    return await run_aged(db, older_than, options, LoginEvents)


async def purge_security_events(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_SECURITY_EVENTS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete security events that were recorded long ago.

    Args:
        db: The database, or its URL.
        older_than: Time since they were recorded, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` events.
    """
    return await run_aged(db, older_than, options, SecurityEvents)


class LoginEvents(Aged):
    """Attempts to log in, the oldest first."""

    name = "purge_login_events"
    model: ClassVar[type[Base]] = UserLoginEvent
    stamp: ClassVar[str] = "created_at"


class SecurityEvents(Aged):
    """Security events, the oldest first."""

    name = "purge_security_events"
    model: ClassVar[type[Base]] = SecurityEvent
    stamp: ClassVar[str] = "created_at"
