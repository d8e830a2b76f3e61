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
        self.tenant_accounts = TenantAccountRepository(self)
        self.tenant_settings = TenantSettingsRepository(self)
        self.users = UserRepository(self)
        self.user_profiles = UserProfileRepository(self)
        self.tenant_user_memberships = TenantUserMembershipRepository(self)
        self.password_history = PasswordHistoryRepository(self)
        self.user_login_events = UserLoginEventRepository(self)
        self.user_sessions = UserSessionRepository(self)
        self.service_account_tokens = ServiceAccountTokenRepository(self)
        self.user_mfa_methods = UserMfaMethodRepository(self)
        self.user_recovery_codes = UserRecoveryCodeRepository(self)
        self.user_consents = UserConsentRepository(self)
        self.user_notification_preferences = UserNotificationPreferenceRepository(self)
        self.usage_counters = UsageCounterRepository(self)
        self.security_events = SecurityEventRepository(self)
        self.tenant_signup_requests = TenantSignupRequestRepository(self)
        self.tenant_signup_invites = TenantSignupInviteRepository(self)
        self.tenant_signup_invite_reservations = TenantSignupInviteReservationRepository(self)
        self.activity_events = ActivityEventRepository(self)
        self.activity_event_receipts = ActivityEventReceiptRepository(self)
        self.activity_last_seen = ActivityLastSeenRepository(self)
        self.agent_conversations = AgentConversationRepository(self)
        self.agent_messages = AgentMessageRepository(self)
        self.conversation_summaries = ConversationSummaryRepository(self)
        self.agent_run_events = AgentRunEventRepository(self)
        self.agent_run_usage = AgentRunUsageRepository(self)
        self.conversation_ledger_segments = ConversationLedgerSegmentRepository(self)
        self.conversation_ledger_events = ConversationLedgerEventRepository(self)
        self.conversation_run_queue_items = ConversationRunQueueItemRepository(self)
        self.billing_plans = BillingPlanRepository(self)
        self.plan_features = PlanFeatureRepository(self)
        self.tenant_subscriptions = TenantSubscriptionRepository(self)
        self.subscription_invoices = SubscriptionInvoiceRepository(self)
        self.subscription_usage = SubscriptionUsageRepository(self)
        self.stripe_events = StripeEventRepository(self)
        self.stripe_event_dispatch = StripeEventDispatchRepository(self)
        self.containers = ContainerRepository(self)
        self.agent_containers = AgentContainerRepository(self)
        self.storage_buckets = StorageBucketRepository(self)
        self.storage_objects = StorageObjectRepository(self)
        self.vector_stores = VectorStoreRepository(self)
        self.vector_store_files = VectorStoreFileRepository(self)
        self.agent_vector_stores = AgentVectorStoreRepository(self)
        self.status_subscriptions = StatusSubscriptionRepository(self)
        self.workflow_runs = WorkflowRunRepository(self)
        self.workflow_run_steps = WorkflowRunStepRepository(self)


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
