"""The values that columns of the sign-up tables take."""

from enum import StrEnum


class TenantSignupRequestStatus(StrEnum):
    """Where a request for access stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class TenantSignupInviteStatus(StrEnum):
    """Whether an invite can be redeemed, and if not, why."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


class SignupInviteReservationStatus(StrEnum):
    """Where a reservation of an invite stands."""

    ACTIVE = "active"
    RELEASED = "released"
    FINALIZED = "finalized"
    EXPIRED = "expired"


class ReleasedReason(StrEnum):
    """Known reasons to release a reservation; any text is accepted."""

    SIGNUP_FAILED = "signup_failed"
    INVITE_REVOKED = "invite_revoked"
    RESERVATION_EXPIRED = "reservation_expired"
