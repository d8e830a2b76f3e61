"""Refresh tokens for tests of sessions and their tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from agentdb.auth.credentials import NewToken
from agentdb.digests import token_digest
from agentdb.types import utc_now

DAY = timedelta(days=1)


def new_token(
    jti: str,
    *,
    at: datetime | None = None,
    lasts: timedelta = DAY,
    fingerprint: str | None = None,
) -> NewToken:
    """Return a token with an id, made at an instant, or now."""
    return NewToken(
        refresh_token_hash=token_digest(f"secret of {jti}"),
        refresh_jti=jti,
        signing_kid="key-1",
        expires_at=(at or utc_now()) + lasts,
        fingerprint=fingerprint,
    )
