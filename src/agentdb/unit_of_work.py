"""The unit of work: one transaction, and a repository for each of the 46 tables."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from agentdb.activity.repository import (
    ActivityEventReceiptRepository,
    ActivityEventRepository,
    ActivityLastSeenRepository,
)
from agentdb.auth.repository import (
    PasswordHistoryRepository,
    SecurityEventRepository,
    ServiceAccountTokenRepository,
    TenantUserMembershipRepository,
    UsageCounterRepository,
    UserConsentRepository,
    UserLoginEventRepository,
    UserMfaMethodRepository,
    UserNotificationPreferenceRepository,
    UserProfileRepository,
    UserRecoveryCodeRepository,
    UserRepository,
    UserSessionRepository,
)
from agentdb.billing.repository import (
    BillingPlanRepository,
    PlanFeatureRepository,
    SubscriptionInvoiceRepository,
    SubscriptionUsageRepository,
    TenantSubscriptionRepository,
)
from agentdb.containers.repository import AgentContainerRepository, ContainerRepository
from agentdb.conversations.repository import (
    AgentConversationRepository,
    AgentMessageRepository,
    AgentRunEventRepository,
    AgentRunUsageRepository,
    ConversationSummaryRepository,
)
from agentdb.engines import configuration_of
from agentdb.ledger.repository import (
    ConversationLedgerEventRepository,
    ConversationLedgerSegmentRepository,
    ConversationRunQueueItemRepository,
)
from agentdb.repository.of import Of
from agentdb.sessions import UnitSession
from agentdb.signup.repository import (
    TenantSignupInviteRepository,
    TenantSignupInviteReservationRepository,
    TenantSignupRequestRepository,
)
from agentdb.status.repository import StatusSubscriptionRepository
from agentdb.storage.repository import StorageBucketRepository, StorageObjectRepository
from agentdb.stripe.repository import StripeEventDispatchRepository, StripeEventRepository
from agentdb.tenancy import Scope, bind_scope, confine, guard, scope_of
from agentdb.tenancy.binding import announce, tell
from agentdb.tenants.repository import TenantAccountRepository, TenantSettingsRepository
from agentdb.unit import Clock, Unit
from agentdb.vector_stores.repository import (
    AgentVectorStoreRepository,
    VectorStoreFileRepository,
    VectorStoreRepository,
)
from agentdb.workflows.repository import WorkflowRunRepository, WorkflowRunStepRepository


class UnitOfWork(Unit):
    """The repositories of all tables, over one session; each is named as its table.

    `Database` makes units of work over sessions of its own. Made by hand, a unit joins a session of
    the host: it reads and writes in the host's transaction, and the host commits. The session stays
    confined to the tenant for the rest of its life, in the host's own statements too. Without a
    tenant and without a reason, only the shared tables can be read.
    """

    tenant_accounts = Of(TenantAccountRepository)
    tenant_settings = Of(TenantSettingsRepository)
    users = Of(UserRepository)
    user_profiles = Of(UserProfileRepository)
    tenant_user_memberships = Of(TenantUserMembershipRepository)
    password_history = Of(PasswordHistoryRepository)
    user_login_events = Of(UserLoginEventRepository)
    user_sessions = Of(UserSessionRepository)
    service_account_tokens = Of(ServiceAccountTokenRepository)
    user_mfa_methods = Of(UserMfaMethodRepository)
    user_recovery_codes = Of(UserRecoveryCodeRepository)
    user_consents = Of(UserConsentRepository)
    user_notification_preferences = Of(UserNotificationPreferenceRepository)
    usage_counters = Of(UsageCounterRepository)
    security_events = Of(SecurityEventRepository)
    tenant_signup_requests = Of(TenantSignupRequestRepository)
    tenant_signup_invites = Of(TenantSignupInviteRepository)
    tenant_signup_invite_reservations = Of(TenantSignupInviteReservationRepository)
    activity_events = Of(ActivityEventRepository)
    activity_event_receipts = Of(ActivityEventReceiptRepository)
    activity_last_seen = Of(ActivityLastSeenRepository)
    agent_conversations = Of(AgentConversationRepository)
    agent_messages = Of(AgentMessageRepository)
    conversation_summaries = Of(ConversationSummaryRepository)
    agent_run_events = Of(AgentRunEventRepository)
    agent_run_usage = Of(AgentRunUsageRepository)
    conversation_ledger_segments = Of(ConversationLedgerSegmentRepository)
    conversation_ledger_events = Of(ConversationLedgerEventRepository)
    conversation_run_queue_items = Of(ConversationRunQueueItemRepository)
    billing_plans = Of(BillingPlanRepository)
    plan_features = Of(PlanFeatureRepository)
    tenant_subscriptions = Of(TenantSubscriptionRepository)
    subscription_invoices = Of(SubscriptionInvoiceRepository)
    subscription_usage = Of(SubscriptionUsageRepository)
    stripe_events = Of(StripeEventRepository)
    stripe_event_dispatch = Of(StripeEventDispatchRepository)
    containers = Of(ContainerRepository)
    agent_containers = Of(AgentContainerRepository)
    storage_buckets = Of(StorageBucketRepository)
    storage_objects = Of(StorageObjectRepository)
    vector_stores = Of(VectorStoreRepository)
    vector_store_files = Of(VectorStoreFileRepository)
    agent_vector_stores = Of(AgentVectorStoreRepository)
    status_subscriptions = Of(StatusSubscriptionRepository)
    workflow_runs = Of(WorkflowRunRepository)
    workflow_run_steps = Of(WorkflowRunStepRepository)

    def __init__(
        self,
        session: AsyncSession,
        *,
        tenant: UUID | None = None,
        system: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Join *session*.

        Args:
            session: A session on an engine that was passed to `configure`.
            tenant: Whose data the unit may touch.
            system: Why it reaches across tenants, in place of a tenant.
            clock: Replaces the clock of the unit, for tests.

        Raises:
            ConfigurationError: The engine of the session was never configured.
            PermissionDeniedError: Both a tenant and a reason are given.
            TenantMismatchError: The session already belongs to another unit's tenant.
        """
        scope = Scope(tenant=tenant, reason=system)
        _join(session.sync_session, scope)
        super().__init__(session, scope, clock)


def _join(session: Session, scope: Scope) -> None:
    bind_scope(session, scope)
    if isinstance(session, UnitSession):
        return
    settings, schema = configuration_of(session)
    announce(session, schema=schema, required=settings.rls == "require")
    confine(session)
    guard(session)


@event.listens_for(UnitSession, "after_begin")
def _tell(session: Session, _: SessionTransaction, connection: Connection) -> None:
    # The first transaction begins before the session is bound, and BEGIN has told the server.
    if scope_of(session) is not None:
        settings, schema = configuration_of(session)
        tell(session, connection, schema=schema, required=settings.rls == "require")


confine(UnitSession)
guard(UnitSession)
