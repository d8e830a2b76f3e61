"""Maintenance of what users log in with: sessions, refresh tokens, recovery codes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Select, and_, exists, literal, or_, select, tuple_
from typing_extensions import Unpack, override

from agentdb.auth.models import ServiceAccountToken, UserRecoveryCode, UserSession
from agentdb.auth.revocations import sessions, tokens
from agentdb.database import Database
from agentdb.maintenance.aged import Aged, Place, behind, own
from agentdb.maintenance.runner import PlanOptions, Report, cutoff, run_aged
from agentdb.orm import Base
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork

KEEP_SESSIONS = timedelta(days=30)
"""How long a session that was revoked, or that nobody uses, can be looked up."""

KEEP_TOKENS = timedelta(days=30)
"""How long it shows that a token which ended is presented again."""

KEEP_RECOVERY_CODES = timedelta(days=30)
"""How long it can be looked up when a recovery code was used."""


async def purge_sessions(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_SESSIONS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete sessions that were revoked long ago, and idle ones that cannot go on.

    A session is idle if it was last seen long ago, or was made then and never seen; it cannot go on
    without an unrevoked, unexpired token. Tokens of deleted sessions stay, and name none then.

    Args:
        db: The database, or its URL.
        older_than: Time since they were revoked or seen, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` sessions.
    """
    return await run_aged(db, older_than, options, RevokedSessions, IdleSessions, UnseenSessions)


async def purge_tokens(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_TOKENS,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete refresh tokens that expired or were revoked long ago.

    The newest revoked token of a live session stays, so that its reuse is detected.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired or were revoked, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``deleted`` tokens.
    """
    return await run_aged(db, older_than, options, EndedTokens)


async def purge_recovery_codes(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_RECOVERY_CODES,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete recovery codes that were used long ago; unused ones stay.

    Args:
        db: The database, or its URL.
        older_than: Time since they were used, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`; those of a tenant are the
            codes of its members.

    Returns:
        The count of ``deleted`` codes.
    """
    return await run_aged(db, older_than, options, UsedCodes)


class RevokedSessions(Aged):
    """Sessions, in the order of their revocation."""

    name = "purge_sessions"
    model: ClassVar[type[Base]] = UserSession
    stamp: ClassVar[str] = "revoked_at"


class IdleSessions(Aged):
    """Live sessions without a token that they could go on with, those seen longest ago first."""

    name = "purge_sessions"
    model: ClassVar[type[Base]] = UserSession
    stamp: ClassVar[str] = "last_seen_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        usable = exists().where(
            tokens.c.session_id == sessions.c.id,
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > literal(await uow.read_clock(), UTCDateTime()),
        )
        return (await super()._due(uow, after)).where(sessions.c.revoked_at.is_(None), ~usable)


class UnseenSessions(IdleSessions):
    """Such sessions that were never seen, in the order in which they were made."""

    stamp: ClassVar[str] = "created_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        return (await super()._due(uow, after)).where(sessions.c.last_seen_at.is_(None))


class EndedTokens(Aged):
    """Tokens that have ended, in the order of their expiry.

    No index leads with the revocation: a run walks over all tokens by their expiry.
    """

    name = "purge_tokens"
    model: ClassVar[type[Base]] = ServiceAccountToken
    stamp: ClassVar[str] = "expires_at"

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        old = literal(await cutoff(uow, self._older_than), UTCDateTime())
        ended = or_(tokens.c.expires_at < old, tokens.c.revoked_at < old)
        where = [*own(self.model, self._tenant), *behind(self.model, self.stamp, after)]
        query = select(tokens.c.id).where(ended, ~_shows_reuse(), *where)
        return query.order_by(tokens.c.expires_at, tokens.c.id)


def _shows_reuse() -> ColumnElement[bool]:
    """Return the condition that a token is the newest revoked one of a live session."""
    other = tokens.alias("other")
    live = exists().where(sessions.c.id == tokens.c.session_id, sessions.c.revoked_at.is_(None))
    newer = exists().where(
        other.c.session_id == tokens.c.session_id,
        other.c.revoked_at.is_not(None),
        tuple_(other.c.revoked_at, other.c.id) > tuple_(tokens.c.revoked_at, tokens.c.id),
    )
    return and_(tokens.c.revoked_at.is_not(None), live, ~newer)


class UsedCodes(Aged):
    """Recovery codes, in the order of their use."""

    name = "purge_recovery_codes"
    model: ClassVar[type[Base]] = UserRecoveryCode
    stamp: ClassVar[str] = "used_at"
