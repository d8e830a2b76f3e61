"""Where requests, invites and reservations stand: what is marked so, and what time has ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, or_

from agentdb.signup.models import TenantSignupInvite, TenantSignupInviteReservation
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus

ACTIVE = TenantSignupInviteStatus.ACTIVE
EXPIRED = TenantSignupInviteStatus.EXPIRED


def is_marked(status: Any, value: StrEnum) -> ColumnElement[bool]:
    """Return the condition of a partial index on a state.

    Written out: SQLite takes a partial index for constants alone, not for parameters
    (https://www.sqlite.org/partialindex.html).

    Args:
        status: The column.
        value: One of its values.
    """
    condition: ColumnElement[bool] = status == literal_column(f"'{value}'")
    return condition


def status_at(invite: TenantSignupInvite, at: datetime) -> TenantSignupInviteStatus:
    """Return the state of an invite: past its time it is expired, marked or not."""
    over = invite.expires_at is not None and invite.expires_at <= at
    return EXPIRED if invite.status == ACTIVE and over else invite.status


def in_status(
    status: TenantSignupInviteStatus, now: ColumnElement[datetime]
) -> ColumnElement[bool]:
    """Return the condition that an invite is in a state, as `status_at` tells it."""
    marked, over = TenantSignupInvite.status, TenantSignupInvite.expires_at <= now
    if status == ACTIVE:
        endless = TenantSignupInvite.expires_at.is_(None)
        return and_(marked == ACTIVE, or_(endless, TenantSignupInvite.expires_at > now))
    if status == EXPIRED:
        return or_(marked == EXPIRED, and_(marked == ACTIVE, over))
    return marked == status


def is_live(at: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that a reservation holds a place: it is active and not overdue."""
    row = TenantSignupInviteReservation
    return row.status == SignupInviteReservationStatus.ACTIVE, row.expires_at > at


def is_overdue(at: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that a reservation has outlived its time without being marked so."""
    row = TenantSignupInviteReservation
    return row.status == SignupInviteReservationStatus.ACTIVE, row.expires_at <= at
