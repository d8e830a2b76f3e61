"""All 46 models, and their base: importing this module maps every table."""

from agentdb.activity.models import ActivityEvent, ActivityEventReceipt, ActivityLastSeen
from agentdb.auth.models import (
    PasswordHistory,
    SecurityEvent,
    ServiceAccountToken,
    TenantUserMembership,
    UsageCounter,
    User,
    UserConsent,
    UserLoginEvent,
    UserMfaMethod,
    UserNotificationPreference,
    UserProfile,
    UserRecoveryCode,
    UserSession,
)
from agentdb.billing.models import (
    BillingPlan,
    PlanFeature,
    SubscriptionInvoice,
    SubscriptionUsage,
    TenantSubscription,
)
from agentdb.containers.models import AgentContainer, Container
from agentdb.conversations.models import (
    AgentConversation,
    AgentMessage,
    AgentRunEvent,
    AgentRunUsage,
    ConversationSummary,
)
from agentdb.ledger.models import (
    ConversationLedgerEvent,
    ConversationLedgerSegment,
    ConversationRunQueueItem,
)
from agentdb.orm import Base
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
    TenantSignupRequest,
)
from agentdb.status.models import StatusSubscription
from agentdb.storage.models import StorageBucket, StorageObject
from agentdb.stripe.models import StripeEvent, StripeEventDispatch
from agentdb.tenants.models import TenantAccount, TenantSettings
from agentdb.vector_stores.models import AgentVectorStore, VectorStore, VectorStoreFile
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep

__all__ = [
    "ActivityEvent",
    "ActivityEventReceipt",
    "ActivityLastSeen",
    "AgentContainer",
    "AgentConversation",
    "AgentMessage",
    "AgentRunEvent",
    "AgentRunUsage",
    "AgentVectorStore",
    "Base",
    "BillingPlan",
    "Container",
    "ConversationLedgerEvent",
    "ConversationLedgerSegment",
    "ConversationRunQueueItem",
    "ConversationSummary",
    "PasswordHistory",
    "PlanFeature",
    "SecurityEvent",
    "ServiceAccountToken",
    "StatusSubscription",
    "StorageBucket",
    "StorageObject",
    "StripeEvent",
    "StripeEventDispatch",
    "SubscriptionInvoice",
    "SubscriptionUsage",
    "TenantAccount",
    "TenantSettings",
    "TenantSignupInvite",
    "TenantSignupInviteReservation",
    "TenantSignupRequest",
    "TenantSubscription",
    "TenantUserMembership",
    "UsageCounter",
    "User",
    "UserConsent",
    "UserLoginEvent",
    "UserMfaMethod",
    "UserNotificationPreference",
    "UserProfile",
    "UserRecoveryCode",
    "UserSession",
    "VectorStore",
    "VectorStoreFile",
    "WorkflowRun",
    "WorkflowRunStep",
]
