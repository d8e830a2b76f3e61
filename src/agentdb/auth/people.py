"""What goes into the verbs of users and their log-ins, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypedDict

from agentdb.auth.models import TenantUserMembership, User, UserProfile
from agentdb.auth.values import PepperVersion, UserStatus
from agentdb.types import JsonObject


class ProfileFields(TypedDict, total=False):
    """Columns of a profile; what is not given stays as it is."""

    display_name: str | None
    given_name: str | None
    family_name: str | None
    avatar_url: str | None
    timezone: str | None
    locale: str | None
    metadata_json: JsonObject | None


class AttemptFields(TypedDict, total=False):
    """What is known of an attempt to log in."""

    ip_hash: str
    """Of the address it came from; ``unknown`` unless given."""
    user_agent: str | None
    """Cut to 512 characters."""
    reason: str | None
    """Why it ended so; see `LoginReason`."""


class Member(NamedTuple):
    """A member of a tenant, as a list shows it.

    Attributes:
        membership: The place in the tenant.
        user: The user.
        profile: The user's profile; None where there is none.
    """

    membership: TenantUserMembership
    user: User
    profile: UserProfile | None


class LoginOutcome(NamedTuple):
    """What an attempt to log in has left.

    Attributes:
        status: Of the user; an attempt that succeeded counts only where it is ``active``.
        locked_until: From when on a success opens the account again; None where it is not locked,
            or was locked by hand.
    """

    status: UserStatus
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PasswordEntry:
    """A password that a user has or had.

    Attributes:
        password_hash: Its hash.
        pepper_version: Version of the pepper in the hash.
    """

    password_hash: str = field(repr=False)
    pepper_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be made.

    Attributes:
        email: The address, in any form.
        password_hash: Hash of the password, never the password.
        pepper_version: Version of the pepper in the hash.
        status: What the user may do.
        display_name: Of the profile.
    """

    email: str
    password_hash: str = field(repr=False)
    pepper_version: str = PepperVersion.V2
    status: UserStatus = UserStatus.PENDING
    display_name: str | None = None
