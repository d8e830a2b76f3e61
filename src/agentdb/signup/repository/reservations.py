"""Places in invites, held while somebody signs up."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, literal, select, update

from agentdb.auth.models import User
from agentdb.canonical import canonical_email
from agentdb.checks import check_duration
from agentdb.driver_errors import orm_errors
from agentdb.errors import (
    ConflictError,
    InvalidValueError,
    InviteUnavailableError,
    ReservationExpiredError,
    ValueOutOfRangeError,
)
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
)
from agentdb.signup.repository.invites import TenantSignupInviteRepository
from agentdb.signup.states import is_live, is_overdue, status_at
from agentdb.signup.values import (
    ReleasedReason,
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
)
from agentdb.tenancy import CHECKED
from agentdb.types import UTCDateTime

RESERVED_FOR = timedelta(minutes=15)
"""How long a place is held."""

SHORTEST = timedelta(minutes=1)
"""For which a place can be held."""


class TenantSignupInviteReservationRepository(Repository[TenantSignupInviteReservation, UUID]):
    """Places in invites, held while somebody signs up; written in system units.

    A reservation is live while it is active and its time has not run out. At every commit the
    redemptions of an invite and its live reservations are no more than it may have redemptions:
    what gives a place away does so under the lock of the invite.
    """

    model = TenantSignupInviteReservation

    async def reserve(
        self,
        invite_id: UUID,
        email: str,
        *,
        ttl: timedelta = RESERVED_FOR,
        now: datetime | None = None,
    ) -> TenantSignupInviteReservation:
        """Hold a place in an invite for an address.

        Of N concurrent calls as many succeed as there are places. Reservations that have run out
        hold none, whether a sweep has marked them or not. One that is live for the address is
        extended and returned.

        Args:
            invite_id: The invite.
            email: Address of who signs up, in any form.
            ttl: For how long, 1 minute or more; no longer than the invite lasts.
            now: The clock of the reservation.

        Raises:
            InviteUnavailableError: The invite is ``revoked``, ``exhausted`` or ``expired``, is for
                another address (``wrong_email``), or others hold the places left (``full``).
            NotFoundError: There is no such invite.
            InvalidValueError: The address or the time is none.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self._require_system("a reservation")
        address = canonical_email(email)
        if check_duration(ttl, "a time") < SHORTEST:
            raise InvalidValueError("a place is held for 1 minute or more")
        invites = TenantSignupInviteRepository(self.unit)
        invite = await invites.require(invite_id, lock=True)
        at = await self.unit.read_clock(now)
        _check_open(invite, address, at)
        ends = _end_of(invite, at, ttl)
        held = await self._extend(invite_id, address, at, ends)
        return held or await self._hold(invite, address, at, ends)

    async def _extend(
        self, invite_id: UUID, email: str, at: datetime, ends: datetime
    ) -> TenantSignupInviteReservation | None:
        # One statement, as a sweep marks what has run out without the lock of the invite.
        row = TenantSignupInviteReservation
        later = literal(ends, UTCDateTime())
        mine = update(row).where(row.invite_id == invite_id, row.email == email, *is_live(at))
        held = mine.values(expires_at=case((row.expires_at < later, later), else_=row.expires_at))
        with orm_errors():
            found = await self._write(held.returning(row), CHECKED)
        return found.scalars().first()

    async def _hold(
        self, invite: TenantSignupInvite, email: str, at: datetime, ends: datetime
    ) -> TenantSignupInviteReservation:
        mine = TenantSignupInviteReservation.invite_id == invite.id
        live = await self.count(mine, *is_live(at))
        if invite.redeemed_count + live >= invite.max_redemptions:
            raise InviteUnavailableError("others hold the places that are left", reason="full")
        row = TenantSignupInviteReservation(
            invite_id=invite.id, email=email, reserved_at=at, expires_at=ends
        )
        row.created_at = row.updated_at = at
        await self.add(row)
        # Their places are given away: should the clock go back, they must not come to life again.
        await self._expire(at, mine)
        return row

    async def _expire(self, at: datetime, *where: ColumnElement[bool]) -> None:
        row = TenantSignupInviteReservation
        overdue = update(row).where(*where, *is_overdue(at))
        expired = overdue.values(
            status=SignupInviteReservationStatus.EXPIRED,
            released_at=at,
            released_reason=ReleasedReason.RESERVATION_EXPIRED,
        )
        (await self._write(expired.returning(row), CHECKED)).all()

    async def finalize(
        self, key: UUID, *, tenant_id: UUID, user_id: UUID, now: datetime | None = None
    ) -> TenantSignupInviteReservation:
        """Redeem a reserved place for a new tenant and user, in a system unit.

        Under the lock of the invite: concurrent calls count one redemption. A reservation that was
        finalised for the same tenant and user before is returned unchanged.

        Args:
            key: The reservation.
            tenant_id: The tenant that the sign-up made.
            user_id: Its owner.
            now: The clock of the redemption.

        Raises:
            NotFoundError: There is no such reservation, tenant or user.
            ConflictError: It was finalised for others.
            ReservationExpiredError: It was released or is overdue.
            InviteUnavailableError: The invite is for another address than the user's.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self._require_system("a redemption")
        invite = await self._lock_invite_of(key)
        reservation = await self.require(key, lock=True)
        at = await self.unit.read_clock(now)
        if reservation.status == SignupInviteReservationStatus.FINALIZED:
            return _same_redemption(reservation, tenant_id, user_id)
        if not _is_live(reservation, at):
            raise ReservationExpiredError("the reservation was released or is overdue")
        await self._check_redeemer(invite, user_id)
        async with self.unit.savepoint():
            await TenantSignupInviteRepository(self.unit).redeem(invite, at)
            return await self.update(
                key,
                status=SignupInviteReservationStatus.FINALIZED,
                finalized_at=at,
                tenant_id=tenant_id,
                user_id=user_id,
            )

    async def _lock_invite_of(self, key: UUID) -> TenantSignupInvite:
        """Lock the invite of a reservation, which never changes, before the reservation."""
        found = await self.require(key)
        invites = TenantSignupInviteRepository(self.unit)
        return await invites.require(found.invite_id, lock=True)

    async def _check_redeemer(self, invite: TenantSignupInvite, user_id: UUID) -> None:
        if invite.invited_email is None:
            return
        query = select(User.email).where(User.id == user_id)
        email = (await self.unit.session.execute(query)).scalar_one_or_none()
        if email is not None:
            _check_address(invite, email)

    async def release(
        self, key: UUID, reason: str, *, now: datetime | None = None
    ) -> TenantSignupInviteReservation:
        """Give a place back whose sign-up came to nothing.

        One statement: of N concurrent calls, and of a redemption at the same time, one has an
        effect. A reservation that is not active any more is returned unchanged.

        Args:
            key: The reservation.
            reason: Why; see `ReleasedReason`.
            now: The clock of the release.

        Raises:
            NotFoundError: There is no such reservation.
            InvalidValueError: The reason is refused.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self._require_system("a release")
        released = await self._compare_and_set(
            key,
            TenantSignupInviteReservation.status == SignupInviteReservationStatus.ACTIVE,
            status=SignupInviteReservationStatus.RELEASED,
            released_at=self.unit.now(now),
            released_reason=reason,
        )
        return released or await self.require(key)

    def _require_system(self, what: str) -> None:
        self.unit.check_writable(self.model)
        self.unit.scope.require_system(what)

    async def for_invite(
        self, invite_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInviteReservation]:
        """Return a page of the invite's reservations, newest first."""
        return await self._newest(
            TenantSignupInviteReservation.invite_id == invite_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInviteReservation]:
        """Return a page of the tenant's reservations, newest first."""
        return await self._newest(
            TenantSignupInviteReservation.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInviteReservation]:
        """Return a page of the user's reservations, newest first."""
        return await self._newest(
            TenantSignupInviteReservation.user_id == user_id, after=after, limit=limit
        )


def _is_live(reservation: TenantSignupInviteReservation, at: datetime) -> bool:
    active = reservation.status == SignupInviteReservationStatus.ACTIVE
    return active and at < reservation.expires_at


def _same_redemption(
    reservation: TenantSignupInviteReservation, tenant_id: UUID, user_id: UUID
) -> TenantSignupInviteReservation:
    if (reservation.tenant_id, reservation.user_id) != (tenant_id, user_id):
        raise ConflictError("the reservation was finalised for another tenant or user")
    return reservation


def _check_open(invite: TenantSignupInvite, email: str, at: datetime) -> None:
    status = status_at(invite, at)
    if status != TenantSignupInviteStatus.ACTIVE:
        raise InviteUnavailableError(f"the invite is {status}", reason=status)
    _check_address(invite, email)


def _check_address(invite: TenantSignupInvite, email: str) -> None:
    if invite.invited_email is not None and canonical_email(invite.invited_email) != email:
        raise InviteUnavailableError("the invite is for another address", reason="wrong_email")


def _end_of(invite: TenantSignupInvite, at: datetime, ttl: timedelta) -> datetime:
    try:
        ends = at + ttl
    except OverflowError:
        raise ValueOutOfRangeError("a place cannot be held for so long") from None
    return ends if invite.expires_at is None else min(ends, invite.expires_at)
