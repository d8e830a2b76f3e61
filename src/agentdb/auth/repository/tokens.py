"""Refresh tokens of service accounts and of users."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, update

from agentdb.auth.accounts import USER_ACCOUNT, canonical_scopes, check_account, user_of
from agentdb.auth.credentials import NewToken, TokenKind, TokenStatus
from agentdb.auth.issuing import hold_holder, insert_token, token_values
from agentdb.auth.models import (
    ServiceAccountToken,
)
from agentdb.auth.revocations import revoke_tokens, tokens
from agentdb.auth.values import RevokedReason
from agentdb.canonical import canonical_fingerprint
from agentdb.checks import check_text, check_values
from agentdb.driver_errors import orm_errors
from agentdb.errors import InvalidValueError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.tenancy import CHECKED
from agentdb.types import Text, Uuid

_TABLE = "service_account_tokens"
_LONGEST_ACCOUNT = 128


class ServiceAccountTokenRepository(Repository[ServiceAccountToken, UUID]):
    """Refresh tokens of service accounts and of users; pages begin with those issued last.

    The account of a user's tokens is ``user:`` and the user's id. In a tenant's unit all verbs are
    about tokens of the tenant; in a system unit a token without a tenant is one across tenants.
    """

    model = ServiceAccountToken
    newest = "issued_at"

    async def issue(
        self,
        account: str,
        scopes: Iterable[str],
        token: NewToken,
        *,
        session_id: UUID | None = None,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> ServiceAccountToken:
        """Store a token that the host is about to hand out.

        A service account has one unrevoked token for its scopes in a tenant: the present one is
        revoked first, as ``replaced``. N concurrent calls all succeed and leave one unrevoked.
        A user may have several, one for each session.

        Args:
            account: A name of the host for a service account, or ``user:`` and a user's id.
            scopes: What it is for; the order and repetitions do not matter.
            token: The token.
            session_id: The live session that it belongs to; a user's one for a user's account.
            tenant_id: The tenant, in a system unit; None for a token across tenants.
            now: The clock of the issue.

        Raises:
            NotFoundError: There is no such user or session.
            InvalidTransitionError: The session was revoked.
            DuplicateError: The id of the token is taken.
            InvalidValueError: A column refuses its value, or the account is a user's in disguise.
        """
        check_account(account)
        tenant, user = self.unit.scope.filter(tenant_id), user_of(account)
        values = {
            **token_values(token, self.unit.now(now)),
            "account": account,
            "tenant_id": tenant,
            **_scoped(scopes),
            "session_id": session_id,
        }
        async with self.unit.savepoint():
            await hold_holder(self.unit, user, session_id, tenant)
            row = await insert_token(self.unit, values) if user is not None else None
            while row is None:
                # Whoever wins the race for the key has committed when this insert gives way; its
                # token is then the present one.
                await self._end_present(values, now)
                row = await insert_token(self.unit, values, replacing=True)
        return row

    async def _end_present(self, values: dict[str, Any], now: datetime | None) -> None:
        names = ("account", "tenant_id", "scope_key")
        present = [getattr(ServiceAccountToken, name) == values[name] for name in names]
        await self._end(present, RevokedReason.REPLACED, now)

    async def _end(
        self, where: Iterable[ColumnElement[bool]], reason: str, now: datetime | None
    ) -> bool:
        """Revoke the unrevoked token that meets the conditions, in one statement."""
        at = self.unit.now(now)
        chosen = update(ServiceAccountToken).where(*where, ServiceAccountToken.revoked_at.is_(None))
        chosen = chosen.values(revoked_at=at, revoked_reason=reason, updated_at=at)
        with orm_errors():
            ended = await self._write(chosen.returning(ServiceAccountToken), CHECKED)
        return bool(ended.scalars().all())

    async def by_scopes(
        self,
        account: str,
        scopes: Iterable[str],
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> ServiceAccountToken | None:
        """Return the token of an account for exactly these scopes that was issued last.

        Neither a revoked nor an expired one is returned; the database decides by its clock.

        Args:
            account: The account.
            scopes: The scopes, in any order.
            tenant_id: The tenant, in a system unit; None for a token across tenants.
            now: The clock that it expires by.
        """
        tenant = self.unit.scope.filter(tenant_id)
        found = await self.all(
            ServiceAccountToken.account == account,
            ServiceAccountToken.tenant_id == tenant,
            ServiceAccountToken.scope_key == _scoped(scopes)["scope_key"],
            *_in_state("active", self.unit.now(now)),
            order=[ServiceAccountToken.issued_at.desc()],
            limit=1,
        )
        return found[0] if found else None

    async def revoke(
        self,
        refresh_jti: str,
        reason: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Revoke one token, by its id; the session that it belongs to goes on without it.

        Returns:
            False if it was revoked before, or there is none.

        Raises:
            InvalidValueError: The reason is refused.
        """
        same = ServiceAccountToken.refresh_jti == refresh_jti
        return await self._end([same, *self._of(tenant_id)], reason, now)

    async def revoke_all(
        self,
        account: str,
        reason: str,
        *,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> int:
        """Revoke the tokens of an account, and return how many there were.

        A successor that a concurrent rotation makes is revoked with them. The sessions of a user
        go on; see `agentdb.operations.revoke_sessions_all`.

        Args:
            account: The account.
            reason: Why; up to 256 characters.
            tenant_id: The tenant, in a system unit; None for all.
            now: The clock of the revocation.

        Raises:
            InvalidValueError: The reason is refused.
        """
        mine = [tokens.c.account == account]
        at = self.unit.now(now)
        return len(await revoke_tokens(self.unit, mine, reason, at, tenant_id=tenant_id))

    async def search(
        self,
        *,
        tenant_ids: Collection[UUID] | None = None,
        include_global: bool = True,
        account_contains: str | None = None,
        fingerprint: str | None = None,
        status: TokenStatus = "all",
        kind: TokenKind = "service",
        after: str | None = None,
        limit: int = 50,
        now: datetime | None = None,
    ) -> Page[ServiceAccountToken]:
        """Return a page of tokens, those issued last first.

        Args:
            tenant_ids: Of these tenants; None for all that the unit sees.
            include_global: Tokens across tenants too, in a system unit.
            account_contains: With this in the name of the account, in any case; no character is
                special.
            fingerprint: Of this device.
            status: In this state, by the clock of the database.
            kind: Of service accounts, of users, or of both.
            after: Cursor of the page before; None starts.
            limit: Tokens of a page, 1 to 500.
            now: The clock that they expire by.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit, the status, the kind or a tenant is none.
            TenantMismatchError: A tenant is not that of the unit.
        """
        where = self._of_tenants(tenant_ids, include_global=include_global)
        where += [*_of_kind(kind), *_in_state(status, self.unit.steady_now(now))]
        if account_contains is not None:
            where.append(_has_part(account_contains))
        if fingerprint is not None:
            where.append(ServiceAccountToken.fingerprint == canonical_fingerprint(fingerprint))
        return await self._newest(*where, after=after, limit=limit)

    def _of_tenants(
        self, tenant_ids: Collection[UUID] | None, *, include_global: bool
    ) -> list[ColumnElement[bool]]:
        tenant, is_global = ServiceAccountToken.tenant_id, ServiceAccountToken.tenant_id.is_(None)
        self.unit.scope.filter(None)
        if tenant_ids is None:
            return [] if include_global else [~is_global]
        ids = [Uuid().check(one) for one in check_values(tenant_ids, "tenants")]
        wanted = tenant.in_([self.unit.scope.filter(one) for one in ids])
        return [or_(wanted, is_global) if include_global else wanted]

    def _of(self, tenant_id: UUID | None) -> list[ColumnElement[bool]]:
        tenant = self.unit.scope.filter(tenant_id)
        return [] if tenant is None else [ServiceAccountToken.tenant_id == tenant]

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


def _scoped(scopes: Iterable[str]) -> dict[str, Any]:
    found = canonical_scopes(scopes)
    return {"scopes": found, "scope_key": " ".join(found)}


def _in_state(status: str, now: ColumnElement[datetime]) -> list[ColumnElement[bool]]:
    unrevoked = ServiceAccountToken.revoked_at.is_(None)
    alive = ServiceAccountToken.expires_at > now
    states: dict[str, list[ColumnElement[bool]]] = {
        "active": [and_(unrevoked, alive)],
        "revoked": [~unrevoked],
        "expired": [and_(unrevoked, ~alive)],
        "all": [],
    }
    return states[_one_of(status, states, "status")]


def _has_part(part: str) -> ColumnElement[bool]:
    # SQLite refuses a pattern of 50,000 characters, and no name is as long as that.
    if len(Text().check(part)) > _LONGEST_ACCOUNT:
        return false()
    return ServiceAccountToken.account.icontains(part, autoescape=True)


def _of_kind(kind: str) -> list[ColumnElement[bool]]:
    of_user = ServiceAccountToken.account.startswith(USER_ACCOUNT)
    kinds: dict[str, list[ColumnElement[bool]]] = {
        "service": [~of_user],
        "user": [of_user],
        "all": [],
    }
    return kinds[_one_of(kind, kinds, "kind")]


def _one_of(value: str, known: Collection[str], name: str) -> str:
    if check_text(value, name) not in known:
        raise InvalidValueError(f"{name}: expects one of {', '.join(known)}")
    return value
