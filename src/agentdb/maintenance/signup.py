"""Maintenance of sign-up: invites and reservations that lapse, requests that were decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import URL, Select, func, literal, update
from typing_extensions import Unpack, override

from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.maintenance.aged import Aged, Place
from agentdb.maintenance.runner import Plan, PlanOptions, Report, cutoff, run_sweeps
from agentdb.orm import Base
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
    TenantSignupRequest,
)
from agentdb.signup.states import is_marked
from agentdb.signup.values import (
    ReleasedReason,
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
    TenantSignupRequestStatus,
)
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime
from agentdb.unit_of_work import UnitOfWork

KEEP_DECIDED = timedelta(days=90)
"""How long a decided request can be looked up."""

requests: Any = table_of(TenantSignupRequest)
invites: Any = table_of(TenantSignupInvite)
reservations: Any = table_of(TenantSignupInviteReservation)


async def expire_invites(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Mark invites as expired whose time is over; the verbs treat them so already.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired, by the clock of the database.
        options: In which batches: see `PlanOptions`; invites belong to no tenant.

    Returns:
        The count of ``expired`` invites.
    """
    return await run_sweeps(db, [LapsedInvites(None, older_than)], _for_system(options))


async def expire_reservations(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Mark reservations as expired whose time is over; the verbs treat them so already.

    Args:
        db: The database, or its URL.
        older_than: Time since they expired, by the clock of the database.
        options: In which batches: see `PlanOptions`; a reservation belongs to no tenant before it
            is finalised.

    Returns:
        The count of ``expired`` reservations.
    """
    return await run_sweeps(db, [LapsedReservations(None, older_than)], _for_system(options))


async def purge_signup_requests(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_DECIDED,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete requests that were decided long ago; invites that answer them stay.

    Args:
        db: The database, or its URL.
        older_than: Time since the decision, by the clock of the database.
        options: In which batches: see `PlanOptions`; requests belong to no tenant.

    Returns:
        The count of ``deleted`` requests.
    """
    plan = _for_system(options)
    kinds = (ApprovedRequests, RejectedRequests)
    return await run_sweeps(db, [kind(None, older_than) for kind in kinds], plan)


def _for_system(options: PlanOptions) -> Plan:
    plan = Plan(**options)
    if plan.tenant_id is not None:
        raise InvalidValueError("what comes before a sign-up belongs to no tenant")
    return plan


class LapsedInvites(Aged):
    """Active invites past their time, in the order in which they expired."""

    name = "expire_invites"
    model: ClassVar[type[Base]] = TenantSignupInvite
    stamp: ClassVar[str] = "expires_at"
    outcomes: ClassVar[tuple[str, ...]] = ("expired",)

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        active = is_marked(invites.c.status, TenantSignupInviteStatus.ACTIVE)
        return (await super()._due(uow, after)).where(active)

    @override
    def _write(self, uow: UnitOfWork) -> Any:
        return update(invites).values(status=TenantSignupInviteStatus.EXPIRED)


class LapsedReservations(Aged):
    """Active reservations past their time, in the order in which they ran out."""

    name = "expire_reservations"
    model: ClassVar[type[Base]] = TenantSignupInviteReservation
    stamp: ClassVar[str] = "expires_at"
    outcomes: ClassVar[tuple[str, ...]] = ("expired",)

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        active = is_marked(reservations.c.status, SignupInviteReservationStatus.ACTIVE)
        return (await super()._due(uow, after)).where(active)

    @override
    def _write(self, uow: UnitOfWork) -> Any:
        return update(reservations).values(
            status=SignupInviteReservationStatus.EXPIRED,
            released_at=uow.now(),
            released_reason=ReleasedReason.RESERVATION_EXPIRED,
        )


class ApprovedRequests(Aged):
    """Approved requests whose decision is old, in the order in which they came in.

    No index leads with the decision; it is younger than the request, so that none is missed.
    """

    name = "purge_signup_requests"
    model: ClassVar[type[Base]] = TenantSignupRequest
    stamp: ClassVar[str] = "created_at"
    status: ClassVar[TenantSignupRequestStatus] = TenantSignupRequestStatus.APPROVED

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        old = literal(await cutoff(uow, self._older_than), UTCDateTime())
        decided = func.coalesce(requests.c.decided_at, requests.c.created_at)
        decision = [requests.c.status == self.status, decided < old]
        return (await super()._due(uow, after)).where(*decision)


class RejectedRequests(ApprovedRequests):
    """Rejected requests, alike."""

    status: ClassVar[TenantSignupRequestStatus] = TenantSignupRequestStatus.REJECTED
