"""Requests to sign up, invites and their reservations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from agentdb.errors import ConflictError, ReservationExpiredError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
    TenantSignupRequest,
)
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus


def _same_redemption(
    reservation: TenantSignupInviteReservation, tenant_id: UUID, user_id: UUID
) -> TenantSignupInviteReservation:
    if (reservation.tenant_id, reservation.user_id) != (tenant_id, user_id):
        raise ConflictError("the reservation was finalised for another tenant or user")
    return reservation


class TenantSignupRequestRepository(Repository[TenantSignupRequest, UUID]):
    """Requests for access, and their decisions."""

    model = TenantSignupRequest

    async def for_decided_by(
        self, decided_by: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupRequest]:
        """Return a page of the requests that the user decided, newest first."""
        return await self._newest(
            TenantSignupRequest.decided_by == decided_by, after=after, limit=limit
        )


class TenantSignupInviteRepository(Repository[TenantSignupInvite, UUID]):
    """Invites to sign up."""

    model = TenantSignupInvite

    async def redeem(self, invite: TenantSignupInvite, at: datetime) -> TenantSignupInvite:
        """Count a redemption of an invite that the unit has locked."""
        redeemed = invite.redeemed_count + 1
        full = redeemed >= invite.max_redemptions
        status = TenantSignupInviteStatus.EXHAUSTED if full else invite.status
        return await self.update(
            invite.id, redeemed_count=redeemed, last_redeemed_at=at, status=status
        )

    async def by_token_hash(self, token_hash: str) -> TenantSignupInvite | None:
        """Return the invite whose token has this digest, if any."""
        return await self._by(TenantSignupInvite.token_hash, token_hash)

    async def for_issuer_user(
        self, issuer_user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that the user issued, newest first."""
        return await self._newest(
            TenantSignupInvite.issuer_user_id == issuer_user_id, after=after, limit=limit
        )

    async def for_issuer_tenant(
        self, issuer_tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that the tenant issued, newest first."""
        return await self._newest(
            TenantSignupInvite.issuer_tenant_id == issuer_tenant_id, after=after, limit=limit
        )

    async def for_signup_request(
        self, signup_request_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantSignupInvite]:
        """Return a page of the invites that answer the request, newest first."""
        return await self._newest(
            TenantSignupInvite.signup_request_id == signup_request_id, after=after, limit=limit
        )


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
