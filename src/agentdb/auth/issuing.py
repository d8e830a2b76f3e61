"""Storing a refresh token, and whom it is stored for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects import postgresql, sqlite

from agentdb.auth.credentials import NewToken, check_token
from agentdb.auth.models import ServiceAccountToken
from agentdb.auth.references import user_text
from agentdb.auth.revocations import sessions
from agentdb.canonical import canonical_fingerprint
from agentdb.errors import InvalidTransitionError, NotFoundError
from agentdb.repository.unique import UniqueKey
from agentdb.tenancy import CONFINED
from agentdb.unit import Unit

_OF_TENANT = "uq_service_account_tokens_active_service_accounts"
_ACROSS_TENANTS = "uq_service_account_tokens_active_global"
"""What a service account's unrevoked token is known by; in the first, NULLs are distinct."""


def token_values(token: NewToken, at: ColumnElement[datetime] | datetime) -> dict[str, Any]:
    """Return the columns of a new row that the token itself decides."""
    given = check_token(token).fingerprint
    return {
        "refresh_token_hash": token.refresh_token_hash,
        "refresh_jti": token.refresh_jti,
        "signing_kid": token.signing_kid,
        "expires_at": token.expires_at,
        "fingerprint": None if given is None else canonical_fingerprint(given),
        "issued_at": at,
        "created_at": at,
        "updated_at": at,
    }


async def hold_holder(
    unit: Unit, user: UUID | None, session_id: UUID | None, tenant: UUID | None
) -> None:
    """Check whom a token is for, and keep that from changing until the unit ends.

    Args:
        unit: The unit.
        user: The user of the account; None for a service account.
        session_id: The session of the token; the user's, and live.
        tenant: The tenant of the token; None across tenants.

    Raises:
        NotFoundError: There is no such user or session.
        InvalidTransitionError: The session was revoked.
    """
    if session_id is None:
        if user is not None:
            await user_text(unit, user)
        return
    query = select(sessions.c.revoked_at).where(sessions.c.id == session_id)
    query = query if user is None else query.where(sessions.c.user_id == user)
    query = query if tenant is None else query.where(sessions.c.tenant_id == tenant)
    found = (await unit.execute(query.with_for_update(key_share=True))).one_or_none()
    if found is None:
        raise NotFoundError("a reference to user_sessions leads nowhere")
    if found.revoked_at is not None:
        raise InvalidTransitionError("the session was revoked")


async def insert_token(
    unit: Unit, values: Mapping[str, Any], *, replacing: bool = False
) -> ServiceAccountToken | None:
    """Insert a token, whose references are checked; errors of the database as they are.

    Args:
        unit: The unit.
        values: The row, by attribute.
        replacing: Give way to an unrevoked token of the service account for these scopes.

    Returns:
        The row; None where it gave way.
    """
    unit.check_writable(ServiceAccountToken)
    insert = (postgresql if unit.is_postgresql else sqlite).insert(ServiceAccountToken)
    statement = insert.values(**values)
    if replacing:
        name = _ACROSS_TENANTS if values["tenant_id"] is None else _OF_TENANT
        key = UniqueKey.find(ServiceAccountToken, name)
        statement = key.resolve(statement, (), None)
    stored = statement.returning(ServiceAccountToken)
    options = {CONFINED: True, "synchronize_session": False, "populate_existing": True}
    found = await unit.session.execute(stored, execution_options=options)
    row: ServiceAccountToken | None = found.scalar_one_or_none()
    return row
