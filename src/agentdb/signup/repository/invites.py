"""Invites to sign up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from typing_extensions import Unpack

from agentdb.canonical import canonical_email
from agentdb.checks import check_fields
from agentdb.errors import InvalidTransitionError, InvalidValueError, InviteUnavailableError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
)
from agentdb.signup.rows import InviteFields
from agentdb.signup.states import in_status, is_live, status_at
from agentdb.signup.values import (
    ReleasedReason,
    SignupInviteReservationStatus,
    TenantSignupInviteStatus,
)
from agentdb.tenancy import CHECKED
from agentdb.types import UTCDateTime


class TenantSignupInviteRepository(Repository[TenantSignupInvite, UUID]):
    """Invites to sign up; in system units alone.

    An invite is exhausted when it was redeemed as often as it may be, and expired once its time
    has come, whether a sweep has marked it or not.
    """

    model = TenantSignupInvite

    async def issue(
        self,
        token_hash: str,
        token_hint: str,
        *,
        max_redemptions: int = 1,
        now: datetime | None = None,
        **fields: Unpack[InviteFields],
    ) -> TenantSignupInvite:
        """Store an invite that the host is about to send.

        Args:
            token_hash: Digest of its token, see `agentdb.token_digest`; never the token itself.
            token_hint: The last characters of the token, to recognise it by.
            max_redemptions: How many may sign up with it, 1 or more.
            now: The clock of the issue.
            fields: Further columns.

        Raises:
            DuplicateError: The digest is taken.
            NotFoundError: There is no such issuer or request.
            InvalidValueError: It would be expired, nobody could redeem it, or a column refuses its
                value.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        check_fields(fields, InviteFields)
        self.unit.check_writable(self.model)
        if type(max_redemptions) is not int or max_redemptions < 1:
            raise InvalidValueError("a number of redemptions is a whole number from 1")
        email, ends = fields.get("invited_email"), fields.get("expires_at")
        fields["invited_email"] = None if email is None else canonical_email(email)
        at = await self.unit.read_clock(now)
        if ends is not None and UTCDateTime().check(ends) <= at:
            raise InvalidValueError("an invite expires in the future")
        row = TenantSignupInvite(
            token_hash=token_hash, token_hint=token_hint, max_redemptions=max_redemptions, **fields
        )
        row.created_at = row.updated_at = at
        return await self.add(row)

    async def redeem(self, invite: TenantSignupInvite, at: datetime) -> TenantSignupInvite:
        """Count a redemption of an invite that the unit has locked.

        Raises:
            InviteUnavailableError: It was redeemed as often as it may be.
            InvalidValueError: It is no invite.
        """
        if not isinstance(invite, TenantSignupInvite):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
            raise InvalidValueError("expects an invite")
        redeemed = invite.redeemed_count + 1
        if redeemed > invite.max_redemptions:
            raise InviteUnavailableError("the invite is exhausted", reason="exhausted")
        full = redeemed == invite.max_redemptions
        status = TenantSignupInviteStatus.EXHAUSTED if full else invite.status
        return await self.update(
            invite.id, redeemed_count=redeemed, last_redeemed_at=at, status=status
        )

    async def revoke(self, key: UUID, reason: str, *, now: datetime | None = None) -> bool:
        """Revoke an active invite and release its live reservations, under its lock.

        Who has redeemed it stays; of a sign-up that runs, either the redemption comes first or
        the revocation.

        Args:
            key: The invite.
            reason: Why.
            now: The clock of the revocation.

        Returns:
            False if it was revoked before: the first time and reason stay.

        Raises:
            InvalidTransitionError: It is exhausted or expired.
            NotFoundError: There is no such invite.
            InvalidValueError: The reason is refused.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self.unit.check_writable(self.model)
        invite = await self.require(key, lock=True)
        at = await self.unit.read_clock(now)
        status = status_at(invite, at)
        if status == TenantSignupInviteStatus.REVOKED:
            return False
        if status != TenantSignupInviteStatus.ACTIVE:
            raise InvalidTransitionError("an invite that is exhausted or expired stays so")
        revoked = TenantSignupInviteStatus.REVOKED
        await self.update(key, status=revoked, revoked_at=at, revoked_reason=reason)
        await self._release_live(key, at)
        return True

    async def _release_live(self, key: UUID, at: datetime) -> None:
        row = TenantSignupInviteReservation
        live = update(row).where(row.invite_id == key, *is_live(at))
        released = live.values(
            status=SignupInviteReservationStatus.RELEASED,
            released_at=at,
            released_reason=ReleasedReason.INVITE_REVOKED,
        )
        (await self._write(released.returning(row), CHECKED)).all()

    async def search(
        self,
        *,
        status: TenantSignupInviteStatus | None = None,
        email: str | None = None,
        signup_request_id: UUID | None = None,
        after: str | None = None,
        limit: int = 50,
        now: datetime | None = None,
    ) -> Page[TenantSignupInvite]:
        """Return a page of invites, newest first.

        Args:
            status: In this state; one past its time is expired, marked or not. None for all.
            email: For this address, in any form.
            signup_request_id: In answer to this request.
            after: Cursor of the page before; None starts.
            limit: Invites of a page, 1 to 500.
            now: The clock that they expire by.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit, the status or the address is none.
        """
        row = TenantSignupInvite
        where = [] if status is None else [in_status(status, self.unit.steady_now(now))]
        where += [] if email is None else [row.invited_email == canonical_email(email)]
        where += [] if signup_request_id is None else [row.signup_request_id == signup_request_id]
        return await self._newest(*where, after=after, limit=limit)

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
