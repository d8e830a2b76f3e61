"""The values that columns of the auth tables take."""

from enum import StrEnum


class UserStatus(StrEnum):
    """What a user may do at log-in."""

    PENDING = "pending"
    ACTIVE = "active"
    DISABLED = "disabled"
    LOCKED = "locked"


class PlatformRole(StrEnum):
    """A role above all tenants."""

    PLATFORM_OPERATOR = "platform_operator"


class TenantRole(StrEnum):
    """A member's role, from the most to the least powerful."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class MfaMethodType(StrEnum):
    """The kind of a second factor."""

    TOTP = "totp"
    WEBAUTHN = "webauthn"


class UsageCounterGranularity(StrEnum):
    """The length of a counter's period, which starts in UTC."""

    DAY = "day"
    MONTH = "month"


class LoginResult(StrEnum):
    """How a log-in attempt ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    LOCKED = "locked"


class LoginReason(StrEnum):
    """Known reasons of a log-in event; any text of up to 128 characters is accepted."""

    LOGIN = "login"
    SSO = "sso"
    INVALID_PASSWORD = "invalid_password"  # noqa: S105 - the name of a reason
    DISABLED = "disabled"
    PENDING = "pending"
    LOCKOUT_THRESHOLD = "lockout_threshold"
    STATUS_LOCKED = "status_locked"


class SecurityEventType(StrEnum):
    """Known types of a security event; any text of up to 32 characters is accepted."""

    MFA_TOTP_ENROLL_STARTED = "mfa_totp_enroll_started"
    MFA_TOTP_VERIFIED = "mfa_totp_verified"
    MFA_REVOKED = "mfa_revoked"
    MFA_RECOVERY_RESET = "mfa_recovery_reset"
    MFA_RECOVERY_USED = "mfa_recovery_used"
    PASSWORD_RESET_TOKEN = "password_reset_token"  # noqa: S105 - the name of an event
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - the name of an event
    PASSWORD_RESET_ADMIN = "password_reset_admin"  # noqa: S105 - the name of an event
    EMAIL_CHANGE = "email_change"
    ACCOUNT_DISABLED = "account_disabled"
    TOKEN_REUSE = "token_reuse"  # noqa: S105 - the name of an event


class RevokedReason(StrEnum):
    """Known reasons to revoke a session or token; any text of up to 256 characters is accepted."""

    ROTATED = "rotated"
    REPLACED = "replaced"
    REUSE_DETECTED = "reuse_detected"
    USER_LOGOUT = "user_logout"
    USER_LOGOUT_ALL = "user_logout_all"
    USER_SESSION_MANUAL_REVOKE = "user_session_manual_revoke"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - the name of a reason
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a reason
    EMAIL_CHANGE = "email_change"
    ACCOUNT_DISABLED = "account_disabled"


class PepperVersion(StrEnum):
    """Known versions of the password pepper; any text of up to 32 characters is accepted."""

    V2 = "v2"
    V1 = "v1"


class NotificationChannel(StrEnum):
    """Known channels of notification; any text of up to 16 characters is accepted."""

    EMAIL = "email"


class NotificationCategory(StrEnum):
    """Known categories of notification; any text of up to 64 characters is accepted."""

    ALERTS = "alerts"
