"""Users and memberships, their credentials, sessions and tokens, and the logs about them."""

from agentdb.auth.repository.consents import UserConsentRepository
from agentdb.auth.repository.counters import UsageCounterRepository
from agentdb.auth.repository.login_events import UserLoginEventRepository
from agentdb.auth.repository.memberships import TenantUserMembershipRepository
from agentdb.auth.repository.mfa_methods import UserMfaMethodRepository
from agentdb.auth.repository.password_history import PasswordHistoryRepository
from agentdb.auth.repository.preferences import UserNotificationPreferenceRepository
from agentdb.auth.repository.profiles import UserProfileRepository
from agentdb.auth.repository.recovery_codes import UserRecoveryCodeRepository
from agentdb.auth.repository.security_events import SecurityEventRepository
from agentdb.auth.repository.sessions import UserSessionRepository
from agentdb.auth.repository.tokens import ServiceAccountTokenRepository
from agentdb.auth.repository.users import UserRepository

__all__ = [
    "PasswordHistoryRepository",
    "SecurityEventRepository",
    "ServiceAccountTokenRepository",
    "TenantUserMembershipRepository",
    "UsageCounterRepository",
    "UserConsentRepository",
    "UserLoginEventRepository",
    "UserMfaMethodRepository",
    "UserNotificationPreferenceRepository",
    "UserProfileRepository",
    "UserRecoveryCodeRepository",
    "UserRepository",
    "UserSessionRepository",
]
