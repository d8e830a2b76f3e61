"""The factory: a maker for each of the 46 tables, and whole conversations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentdb import models
from agentdb.conversations.messages import message_columns
from agentdb.conversations.models import AgentConversation, AgentMessage
from agentdb.conversations.rows import NewMessage
from agentdb.ledger.frames import read_frames
from agentdb.ledger.models import ConversationLedgerEvent
from agentdb.testing.factories.builder import Builder
from agentdb.testing.factories.conversations import Tail, count_message, role_at
from agentdb.testing.factories.drafts import Draft, new_row
from agentdb.testing.factories.frames import stream
from agentdb.testing.factories.makers import Of


class Factory(Builder):
    """Makes valid rows for tests, of all tables.

    There is a maker for each model, under the model's name in lower case and underscores:
    ``factory.user()`` stores a `User` and returns it. What is not said is filled in as the verbs of
    the library would: parents of the same tenant, keys, positions, stamps, totals. Only what a
    column must have is filled; the others keep their defaults.

    The same calls with the same seed make the same values, ids included, but for numbers that the
    database draws; stamps count seconds from a fixed instant.
    """

    tenant_account = Of(models.TenantAccount)
    tenant_settings = Of(models.TenantSettings)
    user = Of(models.User)
    user_profile = Of(models.UserProfile)
    tenant_user_membership = Of(models.TenantUserMembership)
    password_history = Of(models.PasswordHistory)
    user_login_event = Of(models.UserLoginEvent)
    user_session = Of(models.UserSession)
    service_account_token = Of(models.ServiceAccountToken)
    user_mfa_method = Of(models.UserMfaMethod)
    user_recovery_code = Of(models.UserRecoveryCode)
    user_consent = Of(models.UserConsent)
    user_notification_preference = Of(models.UserNotificationPreference)
    usage_counter = Of(models.UsageCounter)
    security_event = Of(models.SecurityEvent)
    tenant_signup_request = Of(models.TenantSignupRequest)
    tenant_signup_invite = Of(models.TenantSignupInvite)
    tenant_signup_invite_reservation = Of(models.TenantSignupInviteReservation)
    activity_event = Of(models.ActivityEvent)
    activity_event_receipt = Of(models.ActivityEventReceipt)
    activity_last_seen = Of(models.ActivityLastSeen)
    agent_conversation = Of(models.AgentConversation)
    agent_message = Of(models.AgentMessage)
    conversation_summary = Of(models.ConversationSummary)
    agent_run_event = Of(models.AgentRunEvent)
    agent_run_usage = Of(models.AgentRunUsage)
    conversation_ledger_segment = Of(models.ConversationLedgerSegment)
    conversation_ledger_event = Of(models.ConversationLedgerEvent)
    conversation_run_queue_item = Of(models.ConversationRunQueueItem)
    billing_plan = Of(models.BillingPlan)
    plan_feature = Of(models.PlanFeature)
    tenant_subscription = Of(models.TenantSubscription)
    subscription_invoice = Of(models.SubscriptionInvoice)
    subscription_usage = Of(models.SubscriptionUsage)
    stripe_event = Of(models.StripeEvent)
    stripe_event_dispatch = Of(models.StripeEventDispatch)
    container = Of(models.Container)
    agent_container = Of(models.AgentContainer)
    storage_bucket = Of(models.StorageBucket)
    storage_object = Of(models.StorageObject)
    vector_store = Of(models.VectorStore)
    vector_store_file = Of(models.VectorStoreFile)
    agent_vector_store = Of(models.AgentVectorStore)
    status_subscription = Of(models.StatusSubscription)
    workflow_run = Of(models.WorkflowRun)
    workflow_run_step = Of(models.WorkflowRunStep)

    def conversation(
        self,
        *,
        messages: int | Sequence[NewMessage] = 0,
        frames: int | Iterable[Mapping[str, Any]] = 0,
        **values: object,
    ) -> AgentConversation:
        """Store a conversation with its messages and its ledger, and return it.

        ``transcript`` and ``replay`` read it, and ``append`` continues it.

        Args:
            messages: What was said, or how many messages of a person and an agent in turn.
            frames: Recorded ``public_sse_v1`` frames, or how many of a stream to make up; they come
                after the messages.
            values: Columns of the conversation as `agent_conversation` takes them; ``key`` is the
                host's key for it.

        Raises:
            InvalidValueError: The key, a message or frame is refused; nothing is stored.
            TypeError: A name stands for nothing.
            TenantMismatchError: It would refer to rows of several tenants.
        """
        with self.transaction() as session:
            conversation = self.agent_conversation(**values)
            draft = self.draft(session, AgentMessage)
            said = _talk(messages) if isinstance(messages, int) else messages
            told = (
                stream(f"stream-{draft.label}", frames, draft.at)
                if isinstance(frames, int)
                else frames
            )
            _append(draft, conversation, said, [*told])
        return conversation


def _talk(count: int) -> list[NewMessage]:
    return [NewMessage(role=role_at(n), content=f"Message {n}") for n in range(count)]


def _append(
    draft: Draft,
    conversation: AgentConversation,
    messages: Sequence[NewMessage],
    frames: Sequence[Mapping[str, Any]],
) -> None:
    """Append in the order of the stamps: the messages, then the frames."""
    read = read_frames(frames)
    if not messages and not read:
        return
    tail = Tail.of(draft, conversation.id)
    where = {"conversation_id": conversation.id, "segment_id": tail.segment.id}
    for position, message in enumerate(messages):
        columns = message_columns(message)
        stamp = columns.pop("created_at") or tail.stamp(draft.at)
        row = {**where, **columns, "position": position, "created_at": stamp}
        draft.session.add(new_row(AgentMessage, row))
        count_message(tail.conversation, position, stamp)
    for columns, frame in zip(read, frames, strict=True):
        row = {**where, **columns, "payload_json": frame, "tenant_id": conversation.tenant_id}
        row["ingested_at"] = tail.stamp(draft.at)
        draft.session.add(new_row(ConversationLedgerEvent, row))
    draft.session.flush()
