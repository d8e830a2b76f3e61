"""The values that columns of the status tables take."""

from enum import StrEnum


class SubscriptionChannel(StrEnum):
    """The way in which notices are delivered."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class SubscriptionSeverity(StrEnum):
    """The notices that a subscriber wants."""

    ALL = "all"
    MAJOR = "major"
    MAINTENANCE = "maintenance"


class SubscriptionStatus(StrEnum):
    """Whether notices are sent."""

    PENDING_VERIFICATION = "pending_verification"
    ACTIVE = "active"
    REVOKED = "revoked"
