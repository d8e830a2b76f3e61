"""Who wants which notices of the status page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, or_
from typing_extensions import Unpack

from agentdb.checks import check_fields
from agentdb.errors import InvalidTransitionError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.repository.names import lock_name
from agentdb.status.models import StatusSubscription
from agentdb.status.rows import SubscriptionFields
from agentdb.status.statements import LIVE, PENDING, in_status, revocation
from agentdb.status.values import SubscriptionSeverity, SubscriptionStatus
from agentdb.tenancy import CONFINED, Write

_KEY = ("channel", "target_hash", "severity_filter", "tenant_id")


class StatusSubscriptionRepository(Repository[StatusSubscription, UUID]):
    """Subscriptions to notices of the status page.

    Each change of state is one statement on the present state: of N concurrent callers one makes
    it.
    """

    model = StatusSubscription

    async def subscribe(
        self,
        channel: str,
        target_hash: str,
        *,
        target_masked: str,
        target_encrypted: bytes,
        created_by: str,
        verification_token_hash: str,
        verification_expires_at: datetime,
        severity_filter: str = SubscriptionSeverity.MAJOR,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
        **fields: Unpack[SubscriptionFields],
    ) -> tuple[StatusSubscription, bool]:
        """Store a wish for notices, which waits for its verification.

        A target has one pending or active subscription for each channel, severity and tenant: N
        concurrent calls all succeed and leave one. An active one is returned as it is. A pending
        one, expired or not, takes what is given; its earlier tokens are worth nothing any more.

        Args:
            channel: A `SubscriptionChannel`.
            target_hash: Of the address or URL, to find it by.
            target_masked: What of the target may be shown.
            target_encrypted: The target.
            created_by: The id of the user as text, or a word for who else did; of the first call.
            verification_token_hash: Of the token that proves the target to be the subscriber's.
            verification_expires_at: When that is too late.
            severity_filter: A `SubscriptionSeverity`.
            tenant_id: The tenant, in a system unit; None there for the notices of the service.
            now: The clock of the change.
            fields: Further columns; what a pending one has and is not given stays, but for the
                challenge.

        Returns:
            The subscription, and whether it is new.

        Raises:
            InvalidValueError: A column refuses its value.
        """
        check_fields(fields, SubscriptionFields)
        tenant, at = self.unit.scope.filter(tenant_id), self.unit.now(now)
        owner = (channel, target_hash, severity_filter, tenant)
        key: dict[str, Any] = dict(zip(_KEY, owner, strict=True))
        given: dict[str, Any] = {
            "target_masked": target_masked,
            "target_encrypted": target_encrypted,
            "verification_token_hash": verification_token_hash,
            "verification_expires_at": verification_expires_at,
            "challenge_token_hash": None,
            **fields,
            "updated_at": at,
        }
        self.unit.check_writable(self.model)
        async with self.unit.savepoint():
            await lock_name(self.unit, self.model.__tablename__, *map(str, owner))
            present = await self._live(key)
            if present is None:
                new = {**key, **given, "created_by": created_by, "created_at": at}
                return await self._insert(new), True
            renewed = await self._compare_and_set(present.id, PENDING, **given)
        return renewed or present, False

    async def activate(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> StatusSubscription:
        """Begin to send notices; the tokens of the verification are cleared.

        An active subscription stays as it is.

        Raises:
            NotFoundError: There is no such subscription.
            InvalidTransitionError: It was revoked, or its verification has expired.
        """
        at, expiry = self.unit.now(now), StatusSubscription.verification_expires_at
        values = {
            "status": SubscriptionStatus.ACTIVE,
            "verification_token_hash": None,
            "verification_expires_at": None,
            "challenge_token_hash": None,
            "updated_at": at,
        }
        where = [*self._of(tenant_id), PENDING, or_(expiry.is_(None), expiry > at)]
        row = await self._compare_and_set(id, *where, **values)
        if row is None:
            row = await self.one(StatusSubscription.id == id, *self._of(tenant_id))
            if row.status != SubscriptionStatus.ACTIVE:
                raise InvalidTransitionError(
                    "the subscription was revoked, or is verified too late"
                )
        return row

    async def renew_verification(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        token_hash: str,
        expires_at: datetime,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> StatusSubscription:
        """Replace the token of a pending subscription, expired or not; the earlier one is void.

        Raises:
            NotFoundError: There is no such subscription.
            InvalidTransitionError: It is not pending.
            InvalidValueError: A column refuses its value.
        """
        values = {"verification_token_hash": token_hash, "verification_expires_at": expires_at}
        return await self._change(id, PENDING, tenant_id, now, values)

    async def set_unsubscribe_token(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        token_hash: str,
        encrypted: bytes,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> StatusSubscription:
        """Set the token by which notices can be ended: its digest, and what is put into each.

        Raises:
            NotFoundError: There is no such subscription.
            InvalidTransitionError: It was revoked.
            InvalidValueError: A column refuses its value.
        """
        values = {"unsubscribe_token_hash": token_hash, "unsubscribe_token_encrypted": encrypted}
        return await self._change(id, LIVE, tenant_id, now, values)

    async def revoke(
        self,
        id: UUID,  # noqa: A002 -- named as the column
        reason: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> bool:
        """End a subscription for good; its tokens, its secrets and its target are cleared.

        The digest and the masked form of the target stay.

        Returns:
            False if it was revoked before, which keeps its time and reason, or there is none.

        Raises:
            InvalidValueError: The reason is refused.
        """
        values = revocation(self.unit.now(now), reason)
        return await self._compare_and_set(id, *self._of(tenant_id), LIVE, **values) is not None

    async def recipients(
        self,
        severity: str,
        *,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[StatusSubscription]:
        """Return a page of the active subscriptions that want notices of a severity, by id.

        Args:
            severity: A `SubscriptionSeverity`; who wants all gets it too.
            after: Cursor of the page before; None starts.
            limit: Subscriptions of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.
        """
        wanted = StatusSubscription.severity_filter.in_([SubscriptionSeverity.ALL, severity])
        active = in_status(SubscriptionStatus.ACTIVE)
        return await self.page(*self._of(tenant_id), active, wanted, after=after, limit=limit)

    async def search(
        self,
        *,
        status: str | None = None,
        channel: str | None = None,
        after: str | None = None,
        limit: int = 50,
        tenant_id: UUID | None = None,
    ) -> Page[StatusSubscription]:
        """Return a page of subscriptions, newest first.

        Args:
            status: In this state.
            channel: Through this channel.
            after: Cursor of the page before; None starts.
            limit: Subscriptions of a page, 1 to 500.
            tenant_id: The tenant, in a system unit; None for all.
        """
        where = self._of(tenant_id)
        where += [] if status is None else [StatusSubscription.status == status]
        where += [] if channel is None else [StatusSubscription.channel == channel]
        return await self._newest(*where, after=after, limit=limit)

    async def by_verification_token_hash(
        self, verification_token_hash: str
    ) -> StatusSubscription | None:
        """Return the subscription whose verification token has this digest, if any."""
        return await self._by(StatusSubscription.verification_token_hash, verification_token_hash)

    async def by_challenge_token_hash(self, challenge_token_hash: str) -> StatusSubscription | None:
        """Return the subscription whose challenge token has this digest, if any."""
        return await self._by(StatusSubscription.challenge_token_hash, challenge_token_hash)

    async def by_unsubscribe_token_hash(
        self, unsubscribe_token_hash: str
    ) -> StatusSubscription | None:
        """Return the subscription whose unsubscribe token has this digest, if any."""
        return await self._by(StatusSubscription.unsubscribe_token_hash, unsubscribe_token_hash)

    async def _live(self, key: Mapping[str, Any]) -> StatusSubscription | None:
        """Return the subscription that is not revoked, an active one first, and lock it."""
        same = [getattr(self.model, name) == value for name, value in key.items()]
        query = self._select(*same, LIVE).order_by(PENDING, self.model.id).limit(1)
        return (await self._entities(query.with_for_update(key_share=True))).one_or_none()

    async def _insert(self, values: Mapping[str, Any]) -> StatusSubscription:
        await self.unit.check(Write(self.model, values))
        pending = SubscriptionStatus.PENDING_VERIFICATION
        statement = insert(self.model).values(**values, status=pending).returning(self.model)
        row: StatusSubscription = (await self._write(statement, CONFINED)).scalar_one()
        return row

    async def _change(
        self,
        key: UUID,
        state: ColumnElement[bool],
        tenant_id: UUID | None,
        now: datetime | None,
        values: Mapping[str, Any],
    ) -> StatusSubscription:
        """Set columns of a subscription that is in a state."""
        mine, at = self._of(tenant_id), self.unit.now(now)
        row = await self._compare_and_set(key, *mine, state, **values, updated_at=at)
        if row is None:
            await self.one(StatusSubscription.id == key, *mine)
            raise InvalidTransitionError("the subscription is in another state")
        return row

    def _of(self, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        return [] if tenant is None else [StatusSubscription.tenant_id == tenant]
