"""Revoking sessions and tokens: sessions first, then tokens, each by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select, update

from agentdb.auth.accounts import account_of
from agentdb.auth.models import ServiceAccountToken, UserSession
from agentdb.orm import Base
from agentdb.tenancy.predicates import table_of
from agentdb.unit import Unit

sessions: Any = table_of(UserSession)
tokens: Any = table_of(ServiceAccountToken)


class Revoked(NamedTuple):
    """How many rows a revocation has ended."""

    sessions: int
    tokens: int


async def revoke_access(
    unit: Unit,
    user_id: UUID,
    reason: str,
    at: datetime | ColumnElement[datetime],
    *,
    keep_session_id: UUID | None = None,
    tenant_id: UUID | None = None,
) -> Revoked:
    """Revoke all live sessions of a user, the tokens of these sessions and those of the user.

    What was revoked before keeps its time and reason. A caller that must leave no later session
    behind holds the lock of the user, which whoever opens a session takes too.

    Args:
        unit: The unit; a tenant's one revokes what lies in its tenant.
        user_id: The user.
        reason: Why; up to 256 characters.
        at: The instant of the revocation.
        keep_session_id: A session that stays, with its tokens.
        tenant_id: In a system unit, the tenant to revoke in; None for all.

    Raises:
        InvalidValueError: The reason is refused.
    """
    mine: list[ColumnElement[bool]] = [sessions.c.user_id == user_id]
    kept: list[ColumnElement[bool]] = []
    if keep_session_id is not None:
        mine.append(sessions.c.id != keep_session_id)
        kept.append(tokens.c.session_id.is_distinct_from(keep_session_id))
    ended = await revoke_sessions(unit, mine, reason, at, tenant_id=tenant_id)
    of_user = or_(tokens.c.account == account_of(user_id), tokens.c.session_id.in_(ended))
    gone = await revoke_tokens(unit, [of_user, *kept], reason, at, tenant_id=tenant_id)
    return Revoked(len(ended), len(gone))


async def revoke_sessions(
    unit: Unit,
    where: Sequence[ColumnElement[bool]],
    reason: str,
    at: datetime | ColumnElement[datetime],
    *,
    tenant_id: UUID | None = None,
) -> list[UUID]:
    """Revoke the live sessions that meet the conditions, and return their ids."""
    live = _unrevoked(unit, UserSession, where, tenant_id)
    return await _revoke(unit, UserSession, live, reason, at)


async def revoke_tokens(
    unit: Unit,
    where: Sequence[ColumnElement[bool]],
    reason: str,
    at: datetime | ColumnElement[datetime],
    *,
    tenant_id: UUID | None = None,
) -> list[UUID]:
    """Revoke the unrevoked tokens that meet the conditions, and return their ids.

    A successor that a rotation makes meanwhile is revoked too. Sessions are locked before tokens:
    a caller that revokes both begins with `revoke_sessions`.
    """
    live = _unrevoked(unit, ServiceAccountToken, where, tenant_id)
    gone = await _revoke(unit, ServiceAccountToken, live, reason, at)
    # A statement that has waited for a rotation does not see the successor; the next one does.
    while (await unit.execute(select(exists().where(*live)))).scalar_one():
        gone += await _revoke(unit, ServiceAccountToken, live, reason, at)
    return gone


def _unrevoked(
    unit: Unit,
    model: type[Base],
    where: Sequence[ColumnElement[bool]],
    tenant_id: UUID | None,
) -> list[ColumnElement[bool]]:
    table: Any = table_of(model)
    tenant = unit.scope.filter(tenant_id)
    own = [] if tenant is None else [table.c.tenant_id == tenant]
    return [table.c.revoked_at.is_(None), *own, *where]


async def _revoke(
    unit: Unit,
    model: type[Base],
    live: Sequence[ColumnElement[bool]],
    reason: str,
    at: datetime | ColumnElement[datetime],
) -> list[UUID]:
    """Lock the rows by id, so that no two revocations wait for each other, and then write."""
    table: Any = table_of(model)
    await unit.session.flush()
    query = select(table.c.id).where(*live).order_by(table.c.id)
    locked = await unit.execute(query.with_for_update(key_share=True))
    keys: list[UUID] = list(locked.scalars())
    if keys:
        change = update(table).where(table.c.id.in_(keys))
        change = change.values(revoked_at=at, revoked_reason=reason, updated_at=at)
        await unit.execute(change)
    for key in keys:
        await unit.refresh(model, key)
    return keys
