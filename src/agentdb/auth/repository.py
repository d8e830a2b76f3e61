"""Users and memberships, their credentials, sessions and tokens, and the logs about them."""

from __future__ import annotations

from datetime import date, datetime
from typing import NoReturn
from uuid import UUID

from sqlalchemy import literal
from typing_extensions import override

from agentdb.auth.counters import check_period, counter_changes, counter_key
from agentdb.auth.models import (
    PasswordHistory,
    SecurityEvent,
    ServiceAccountToken,
    TenantUserMembership,
    UsageCounter,
    User,
    UserConsent,
    UserLoginEvent,
    UserMfaMethod,
    UserNotificationPreference,
    UserProfile,
    UserRecoveryCode,
    UserSession,
)
from agentdb.auth.values import UsageCounterGranularity
from agentdb.canonical import canonical_email
from agentdb.errors import InvalidValueError, ReferencedError
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository, Repository
from agentdb.repository.counting import add_up
from agentdb.types import UTCDateTime


class UserRepository(Repository[User, UUID]):
    """Users of all tenants."""

    model = User

    async def by_email(self, email: str) -> User | None:
        """Return the user with the address in its canonical form, if any."""
        try:
            canonical = canonical_email(email)
        except InvalidValueError:
            return None
        return await self._by(User.email, canonical)

    @override
    async def delete(self, key: UUID, *, include_deleted: bool = False) -> NoReturn:
        """Refuse: tables refer to users without a foreign key, and a tenant needs its last owner.

        Raises:
            ReferencedError: Always; `operations.delete_user` deletes a user.
        """
        raise ReferencedError("a user is deleted by `operations.delete_user`")


class UserProfileRepository(Repository[UserProfile, UUID]):
    """Profiles of users, one row each."""

    model = UserProfile

    async def by_user_id(self, user_id: UUID) -> UserProfile | None:
        """Return the user's profile, if any."""
        return await self._by(UserProfile.user_id, user_id)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserProfile]:
        """Return a page with the user's profile alone."""
        return await self._newest(UserProfile.user_id == user_id, after=after, limit=limit)


class TenantUserMembershipRepository(Repository[TenantUserMembership, UUID]):
    """Who belongs to which tenant, and as what."""

    model = TenantUserMembership

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the user's memberships, newest first."""
        return await self._newest(TenantUserMembership.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[TenantUserMembership]:
        """Return a page of the tenant's memberships, newest first."""
        return await self._newest(
            TenantUserMembership.tenant_id == tenant_id, after=after, limit=limit
        )


class PasswordHistoryRepository(AppendOnlyRepository[PasswordHistory, UUID]):
    """Passwords that users have or had, kept to refuse their reuse."""

    model = PasswordHistory

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PasswordHistory]:
        """Return a page of the user's entries, newest first."""
        return await self._newest(PasswordHistory.user_id == user_id, after=after, limit=limit)


class UserLoginEventRepository(AppendOnlyRepository[UserLoginEvent, UUID]):
    """The log of attempts to log in."""

    model = UserLoginEvent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the user's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserLoginEvent]:
        """Return a page of the tenant's attempts to log in, newest first."""
        return await self._newest(UserLoginEvent.tenant_id == tenant_id, after=after, limit=limit)


class UserSessionRepository(Repository[UserSession, UUID]):
    """Sessions of users, by device; pages begin with those seen last."""

    model = UserSession
    newest = "last_seen_at"

    async def by_refresh_jti(self, refresh_jti: str) -> UserSession | None:
        """Return the session whose refresh token has this id, if any."""
        return await self._by(UserSession.refresh_jti, refresh_jti)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserSession]:
        """Return a page of the user's sessions, last seen first."""
        return await self._newest(UserSession.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserSession]:
        """Return a page of the tenant's sessions, last seen first."""
        return await self._newest(UserSession.tenant_id == tenant_id, after=after, limit=limit)


class ServiceAccountTokenRepository(Repository[ServiceAccountToken, UUID]):
    """Refresh tokens of service accounts and of users."""

    model = ServiceAccountToken

    async def by_refresh_token_hash(self, refresh_token_hash: str) -> ServiceAccountToken | None:
        """Return the token with this digest, if any."""
        return await self._by(ServiceAccountToken.refresh_token_hash, refresh_token_hash)

    async def by_refresh_jti(self, refresh_jti: str) -> ServiceAccountToken | None:
        """Return the token with this id, if any."""
        return await self._by(ServiceAccountToken.refresh_jti, refresh_jti)

    async def for_session(
        self, session_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ServiceAccountToken]:
        """Return a page of the session's tokens, newest first."""
        return await self._newest(
            ServiceAccountToken.session_id == session_id, after=after, limit=limit
        )


class UserMfaMethodRepository(Repository[UserMfaMethod, UUID]):
    """Second factors of users."""

    model = UserMfaMethod

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserMfaMethod]:
        """Return a page of the user's second factors, newest first."""
        return await self._newest(UserMfaMethod.user_id == user_id, after=after, limit=limit)


class UserRecoveryCodeRepository(Repository[UserRecoveryCode, UUID]):
    """Recovery codes of users, unused and used."""

    model = UserRecoveryCode

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserRecoveryCode]:
        """Return a page of the user's recovery codes, newest first."""
        return await self._newest(UserRecoveryCode.user_id == user_id, after=after, limit=limit)


class UserConsentRepository(Repository[UserConsent, UUID]):
    """Agreements of users to versions of policies."""

    model = UserConsent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserConsent]:
        """Return a page of the user's consents, newest first."""
        return await self._newest(UserConsent.user_id == user_id, after=after, limit=limit)


class UserNotificationPreferenceRepository(Repository[UserNotificationPreference, UUID]):
    """Which notices users want, in one tenant or in all."""

    model = UserNotificationPreference

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the user's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.user_id == user_id, after=after, limit=limit
        )

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UserNotificationPreference]:
        """Return a page of the tenant's preferences, newest first."""
        return await self._newest(
            UserNotificationPreference.tenant_id == tenant_id, after=after, limit=limit
        )


class UsageCounterRepository(Repository[UsageCounter, UUID]):
    """Consumption by tenant, user and period."""

    model = UsageCounter
    newest = "period_start"

    async def increment(
        self,
        user_id: UUID | None,
        period_start: date,
        *,
        granularity: UsageCounterGranularity = UsageCounterGranularity.DAY,
        input_tokens: int = 0,
        output_tokens: int = 0,
        requests: int = 0,
        storage_bytes: int = 0,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> UsageCounter:
        """Add to what a user, or nobody in particular, has consumed in a period.

        One statement: N concurrent calls leave one row with the exact sums.

        Args:
            user_id: The user; None where the use is attributed to nobody.
            period_start: The first day of the period, in UTC.
            granularity: Its length; a month starts on its first day.
            input_tokens: How many more, 0 or more.
            output_tokens: How many more, 0 or more.
            requests: How many more, 0 or more.
            storage_bytes: By how much the stored bytes have changed; they never fall below 0.
            tenant_id: The tenant, in a system unit.
            now: The clock of the change.

        Raises:
            NotFoundError: The user is no member of the tenant.
            InvalidValueError: A number is below 0, or the month does not start on its first day.
            ValueOutOfRangeError: A sum exceeds 64 bits.
        """
        tenant = self.unit.scope.owner(tenant_id)
        sums = {"input_tokens": input_tokens, "output_tokens": output_tokens, "requests": requests}
        check_period(period_start, granularity)
        changes = counter_changes(sums, storage_bytes, postgresql=self.unit.is_postgresql)
        at = await self.unit.read_clock(now)
        values = {
            "tenant_id": tenant,
            "user_id": user_id,
            "period_start": period_start,
            "granularity": granularity,
            "created_at": at,
            "updated_at": at,
            **sums,
            "storage_bytes": max(storage_bytes, 0),
        }
        changes["updated_at"] = literal(at, UTCDateTime())
        return await add_up(self.unit, self.model, values, counter_key(user_id), changes)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UsageCounter]:
        """Return a page of the tenant's counters, newest period first."""
        return await self._newest(UsageCounter.tenant_id == tenant_id, after=after, limit=limit)

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[UsageCounter]:
        """Return a page of the user's counters, newest period first."""
        return await self._newest(UsageCounter.user_id == user_id, after=after, limit=limit)


class SecurityEventRepository(AppendOnlyRepository[SecurityEvent, UUID]):
    """The log of what touched the security of users and tenants."""

    model = SecurityEvent

    async def for_user(
        self, user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the user's security events, newest first."""
        return await self._newest(SecurityEvent.user_id == user_id, after=after, limit=limit)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[SecurityEvent]:
        """Return a page of the tenant's security events, newest first."""
        return await self._newest(SecurityEvent.tenant_id == tenant_id, after=after, limit=limit)
