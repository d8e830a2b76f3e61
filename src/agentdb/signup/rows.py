"""What goes into the verbs of sign-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agentdb.types import JsonObject


class RequestFields(TypedDict, total=False):
    """What a request for access may tell, and where it came from."""

    organization: str | None
    full_name: str | None
    message: str | None
    user_agent: str | None
    """Cut to 512 characters."""
    honeypot_value: str | None
    """What came in the field that people do not see."""
    metadata_json: JsonObject | None


class InviteFields(TypedDict, total=False):
    """Optional columns of an invite."""

    invited_email: str | None
    """The only address that may redeem it; any, unless given."""
    issuer_user_id: UUID | None
    issuer_tenant_id: UUID | None
    signup_request_id: UUID | None
    expires_at: datetime | None
    """When it lapses, by the clock of the database; never, unless given."""
    note: str | None
    metadata_json: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvite:
    """An invite that the host is about to send to somebody who asked for access.

    Attributes:
        token_hash: Digest of its token, see `agentdb.token_digest`; never the token itself.
        token_hint: The last characters of the token, to recognise it by.
        max_redemptions: How many may sign up with it.
        invited_email: The only address that may; None for that of the request.
        expires_at: When it lapses, by the clock of the database; None for never.
        issuer_tenant_id: On behalf of which tenant it is sent.
        note: For those who issue invites.
        metadata_json: Whatever the host keeps with it.
    """

    token_hash: str = field(repr=False)
    token_hint: str
    max_redemptions: int = 1
    invited_email: str | None = None
    expires_at: datetime | None = None
    issuer_tenant_id: UUID | None = None
    note: str | None = None
    metadata_json: JsonObject | None = None
