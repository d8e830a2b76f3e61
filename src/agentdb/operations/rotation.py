"""Rotation of refresh tokens, and the detection of one that was stolen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, update

from agentdb.auth.accounts import user_of
from agentdb.auth.credentials import NewToken, Rotation, RotationOutcome, check_token
from agentdb.auth.issuing import insert_token, token_values
from agentdb.auth.models import ServiceAccountToken, User, UserSession
from agentdb.auth.revocations import Revoked, revoke_sessions, revoke_tokens, sessions, tokens
from agentdb.auth.values import RevokedReason, SecurityEventType
from agentdb.checks import check_duration
from agentdb.types import JsonObject, UTCDateTime
from agentdb.unit_of_work import UnitOfWork

_NO_GRACE = timedelta(0)


async def rotate(
    uow: UnitOfWork,
    jti: str,
    token: NewToken,
    *,
    reuse_grace: timedelta = _NO_GRACE,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Rotation:
    """Exchange a refresh token for its successor, once.

    One statement ends the token if it is unrevoked and unexpired by the clock of the database; who
    succeeds stores the successor and moves the session on. Of N concurrent calls with one token,
    one is ``rotated`` and the others are ``reused``.

    A token that is presented after its rotation was stolen, or its successor was: its session and
    all tokens of the session are revoked as ``reuse_detected``, with a security event; of a token
    without a session those of its account, tenant and scopes. No error is raised, so that the
    caller commits the revocation, and refuses the request whatever the outcome but ``rotated``.

    Args:
        uow: A unit of work.
        jti: The id of the token that was presented, whose digest or signature the host has checked.
        token: Its successor; without a fingerprint it keeps that of the token.
        reuse_grace: How long after a rotation the same token may come again, as from a client that
            sends two requests at once: the outcome is ``superseded``, and nothing is revoked.
        tenant_id: The tenant, in a system unit; None for any.
        now: The clock of the rotation.

    Returns:
        What became of the token: ``rotated``, ``reused``, ``superseded``, ``revoked`` for another
        reason, ``expired``, or ``unknown``, which another tenant's is too.

    Raises:
        DuplicateError: The id of the successor is taken.
        InvalidValueError: A value is refused.
    """
    check_duration(reuse_grace, "a grace")
    check_token(token)
    tenant = uow.scope.filter(tenant_id)
    presented = [tokens.c.refresh_jti == jti]
    presented += [] if tenant is None else [tokens.c.tenant_id == tenant]
    await uow.session.flush()
    async with uow.savepoint():
        ended = await _end(uow, presented, now) if await _hold_session(uow, presented) else None
        if ended is None:
            return Rotation(await _judge(uow, presented, reuse_grace, now))
        successor = await _succeed(uow, ended, token)
    # Last: a refusal would leave loaded entities with what was undone.
    await uow.refresh(ServiceAccountToken, ended.id)
    if ended.session_id is not None:
        await uow.refresh(UserSession, ended.session_id)
    return Rotation(RotationOutcome.ROTATED, successor)


async def _hold_session(uow: UnitOfWork, presented: Sequence[ColumnElement[bool]]) -> bool:
    """Lock the session of a token, which comes before the token, and tell whether it is live."""
    key = select(tokens.c.session_id).where(*presented).scalar_subquery()
    query = select(sessions.c.revoked_at).where(sessions.c.id == key)
    held = (await uow.execute(query.with_for_update(key_share=True))).one_or_none()
    return held is None or held.revoked_at is None


async def _end(
    uow: UnitOfWork, presented: Sequence[ColumnElement[bool]], now: datetime | None
) -> Any:
    """Revoke the token if it may be rotated, and return its row; else None."""
    at = uow.now(now)
    chosen: Any = update(tokens).where(
        *presented, tokens.c.revoked_at.is_(None), tokens.c.expires_at > at
    )
    chosen = chosen.values(revoked_at=at, revoked_reason=RevokedReason.ROTATED, updated_at=at)
    return (await uow.execute(chosen.returning(*tokens.c))).one_or_none()


async def _succeed(uow: UnitOfWork, ended: Any, token: NewToken) -> ServiceAccountToken | None:
    """Store the successor of a token, and move its session on to it."""
    at: datetime = ended.revoked_at
    kept = {name: getattr(ended, name) for name in ("account", "tenant_id", "scope_key", "scopes")}
    values = {**token_values(token, at), **kept, "session_id": ended.session_id}
    given = values["fingerprint"]
    values["fingerprint"] = given or ended.fingerprint
    successor = await insert_token(uow, values)
    if ended.session_id is not None:
        await _move(uow, ended.session_id, token.refresh_jti, given, at)
    return successor


async def _move(
    uow: UnitOfWork, session: UUID, jti: str, fingerprint: str | None, at: datetime
) -> None:
    greatest = func.greatest if uow.is_postgresql else func.max
    moment = literal(at, UTCDateTime())
    values: dict[str, Any] = {"refresh_jti": jti, "updated_at": at}
    values["last_seen_at"] = greatest(func.coalesce(sessions.c.last_seen_at, moment), moment)
    values |= {} if fingerprint is None else {"fingerprint": fingerprint}
    await uow.execute(update(sessions).where(sessions.c.id == session).values(values))


async def _judge(
    uow: UnitOfWork,
    presented: Sequence[ColumnElement[bool]],
    grace: timedelta,
    now: datetime | None,
) -> RotationOutcome:
    """Tell why a token was not rotated; where it was rotated before, end its family."""
    query: Any = select(*tokens.c, uow.now(now).label("clock")).where(*presented)
    found: Any = (await uow.execute(query)).one_or_none()
    if found is None:
        return RotationOutcome.UNKNOWN
    if found.revoked_at is None:
        is_expired = found.expires_at <= found.clock
        return RotationOutcome.EXPIRED if is_expired else RotationOutcome.REVOKED
    if found.revoked_reason != RevokedReason.ROTATED:
        return RotationOutcome.REVOKED
    if grace and found.clock - found.revoked_at <= grace:
        return RotationOutcome.SUPERSEDED
    await _end_family(uow, found, now)
    return RotationOutcome.REUSED


async def _end_family(uow: UnitOfWork, reused: Any, now: datetime | None) -> None:
    """Revoke what descends from a reused token, and record that once for all callers."""
    at, reason = uow.now(now), RevokedReason.REUSE_DETECTED
    ended: list[UUID] = []
    if reused.session_id is not None:
        ended = await revoke_sessions(uow, [sessions.c.id == reused.session_id], reason, at)
    gone = await revoke_tokens(uow, _family_of(reused), reason, at)
    if ended or gone:
        await _record(uow, reused, Revoked(len(ended), len(gone)), now)


def _family_of(token: Any) -> list[ColumnElement[bool]]:
    names = ["session_id"]
    if token.session_id is None:
        names += ["account", "tenant_id", "scope_key"]
    return [tokens.c[name] == getattr(token, name) for name in names]


async def _record(uow: UnitOfWork, reused: Any, revoked: Revoked, now: datetime | None) -> None:
    user = user_of(reused.account)
    # A tenant's event may name its members alone, and the user may have left.
    known = user is not None and await uow.users.exists(User.id == user)
    session = None if reused.session_id is None else str(reused.session_id)
    metadata: JsonObject = {"account": reused.account, "session_id": session, **revoked._asdict()}
    await uow.security_events.record(
        SecurityEventType.TOKEN_REUSE,
        user_id=user if known else None,
        tenant_id=reused.tenant_id,
        metadata_json=metadata,
        now=now,
    )
