"""What goes into the verbs of sessions and refresh tokens, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, TypedDict

from agentdb.auth.models import ServiceAccountToken, UserSession
from agentdb.errors import InvalidValueError

TokenStatus = Literal["active", "revoked", "expired", "all"]
"""The state of a token: a revoked one is not expired as well."""

TokenKind = Literal["service", "user", "all"]
"""Whose token it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A refresh token that the host has made, and is about to hand out.

    Attributes:
        refresh_token_hash: Its digest, see `agentdb.token_digest`; never the token itself.
        refresh_jti: Its id, unique.
        signing_kid: The key that signed it.
        expires_at: When it lapses, by the clock of the database.
        fingerprint: The device that it is for; more than 128 characters are stored as a digest.
    """

    refresh_token_hash: str = field(repr=False)
    refresh_jti: str
    signing_kid: str
    expires_at: datetime
    fingerprint: str | None = None


def check_token(token: NewToken) -> NewToken:
    """Return a token that is to be stored.

    Raises:
        InvalidValueError: It is none.
    """
    if not isinstance(token, NewToken):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects a NewToken")
    return token


class DeviceFields(TypedDict, total=False):
    """Where a session is; what is not given stays as it is."""

    ip_hash: str | None
    ip_encrypted: bytes | None
    ip_masked: str | None
    user_agent: str | None
    client_platform: str | None
    client_browser: str | None
    client_device: str | None
    location_city: str | None
    location_region: str | None
    location_country: str | None


class IssuedSession(NamedTuple):
    """A session and the refresh token that it begins with."""

    session: UserSession
    token: ServiceAccountToken


class RotationOutcome(StrEnum):
    """What became of a refresh token that was presented."""

    ROTATED = "rotated"
    REUSED = "reused"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Rotation(NamedTuple):
    """What a rotation did.

    Attributes:
        outcome: What became of the token that was presented.
        token: Its successor; None unless it was rotated.
    """

    outcome: RotationOutcome
    token: ServiceAccountToken | None = None
