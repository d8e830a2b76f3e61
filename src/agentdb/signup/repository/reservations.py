"""Places in invites, held while somebody signs up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.errors import ConflictError, ReservationExpiredError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupInviteReservation,
)
from agentdb.signup.repository.invites import TenantSignupInviteRepository
from agentdb.signup.values import SignupInviteReservationStatus


def _same_redemption(
    reservation: TenantSignupInviteReservation, tenant_id: UUID, user_id: UUID
) -> TenantSignupInviteReservation:
    if (reservation.tenant_id, reservation.user_id) != (tenant_id, user_id):
        raise ConflictError("the reservation was finalised for another tenant or user")
    return reservation


class TenantSignupInviteReservationRepository(Repository[TenantSignupInviteReservation, UUID]):
    """Places in invites, held while somebody signs up."""

    model = TenantSignupInviteReservation

    async def finalize(
        self, key: UUID, *, tenant_id: UUID, user_id: UUID, now: datetime | None = None
    ) -> TenantSignupInviteReservation:
        """Redeem a reserved place for a new tenant and user, in a system unit.

        Under the lock of the invite: concurrent calls count one redemption. A reservation that was
        finalised for the same tenant and user before is returned unchanged.

        Raises:
            NotFoundError: There is no such reservation, tenant or user.
            ConflictError: It was finalised for others.
            ReservationExpiredError: It was released or is overdue.
        """
        found = await self.require(key)
        invites = TenantSignupInviteRepository(self.unit)
        invite = await invites.require(found.invite_id, lock=True)
        reservation = await self.require(key, lock=True)
        at = await self.unit.read_clock(now)
        if reservation.status == SignupInviteReservationStatus.FINALIZED:
            return _same_redemption(reservation, tenant_id, user_id)
        if (
            reservation.status != SignupInviteReservationStatus.ACTIVE
            or at >= reservation.expires_at
        ):
            raise ReservationExpiredError("the reservation was released or is overdue")
        await invites.redeem(invite, at)
        return await self.update(
            key,
            status=SignupInviteReservationStatus.FINALIZED,
            finalized_at=at,
            tenant_id=tenant_id,
            user_id=user_id,
        )

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
