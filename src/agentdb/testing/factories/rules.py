"""What the verbs of the library keep true of single tables, beyond what a column can say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnExpressionArgument, exists, func, select
from sqlalchemy.orm import Session

from agentdb.auth.models import (
    ServiceAccountToken,
    TenantUserMembership,
    UsageCounter,
    User,
    UserMfaMethod,
)
from agentdb.auth.values import MfaMethodType, TenantRole, UsageCounterGranularity
from agentdb.billing.models import SubscriptionInvoice, SubscriptionUsage, TenantSubscription
from agentdb.billing.values import TenantSubscriptionStatus
from agentdb.containers.models import Container
from agentdb.errors import ValueTooLongError
from agentdb.orm import Base
from agentdb.signup.models import (
    TenantSignupInvite,
    TenantSignupInviteReservation,
    TenantSignupRequest,
)
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.status.models import StatusSubscription
from agentdb.storage.models import StorageBucket, StorageObject
from agentdb.stripe.models import StripeEvent
from agentdb.tenants.models import TenantSettings
from agentdb.testing.factories.columns import EPOCH
from agentdb.testing.factories.conversations import (
    AFTER_CONVERSATIONS,
    BEFORE_CONVERSATIONS,
)
from agentdb.testing.factories.drafts import Draft
from agentdb.vector_stores.models import VectorStore, VectorStoreFile
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep
from agentdb.workflows.values import MAX_RUN_ID

MONTHS = 12

ENDED = (TenantSubscriptionStatus.CANCELED, TenantSubscriptionStatus.INCOMPLETE_EXPIRED)

UNOWNED: set[type[Base]] = {TenantSignupInviteReservation}
"""Models whose rows belong to nobody at first, though they may belong to a tenant."""

STAMPS: dict[type[Base], dict[str, str]] = {
    Container: {"deleted": "deleted_at"},
    StatusSubscription: {"revoked": "revoked_at"},
    StorageObject: {"deleted": "deleted_at"},
    StripeEvent: {"processed": "processed_at"},
    TenantSignupInvite: {"revoked": "revoked_at"},
    TenantSignupInviteReservation: {"finalized": "finalized_at", "released": "released_at"},
    TenantSignupRequest: {"approved": "decided_at", "rejected": "decided_at"},
    VectorStore: {"deleted": "deleted_at"},
    VectorStoreFile: {"deleted": "deleted_at"},
    WorkflowRun: dict.fromkeys(("succeeded", "failed", "cancelled"), "ended_at"),
    WorkflowRunStep: dict.fromkeys(("succeeded", "failed", "cancelled"), "ended_at"),
}
"""The stamp that belongs to a status."""


def is_taken(draft: Draft, tenant: UUID) -> bool:
    """Tell whether the tenant has the one row already that it may have, so that another needs one.

    The settings of a tenant are one row, and one of its subscriptions is current.
    """
    if draft.model is TenantSettings:
        return _any(draft.session, TenantSettings.tenant_id == tenant)
    if draft.model is TenantSubscription:
        return _has_current(draft.session, tenant)
    return False


def _any(session: Session, *where: ColumnExpressionArgument[bool]) -> bool:
    return bool(session.scalar(select(exists().where(*where))))


def _has_current(session: Session, tenant: UUID) -> bool:
    mine = TenantSubscription.tenant_id == tenant, TenantSubscription.status.not_in(ENDED)
    return _any(session, *mine)


def _stamp(draft: Draft) -> None:
    name = "processing_outcome" if draft.model is StripeEvent else "status"
    attribute = STAMPS[draft.model].get(str(draft.values.get(name)))
    if attribute is not None:
        draft.default(attribute, draft.at)


def _subscription(draft: Draft) -> None:
    """A tenant has one current subscription; the others are its history."""
    if draft.tenant is not None and _has_current(draft.session, draft.tenant):
        draft.default("status", TenantSubscriptionStatus.CANCELED)


def _period(draft: Draft) -> None:
    start = draft.default("period_start", draft.at)
    draft.default("period_end", start + timedelta(days=30))


def _bucket(draft: Draft) -> None:
    """A tenant has one default bucket."""
    default = StorageBucket.is_default, StorageBucket.deleted_at.is_(None)
    mine = StorageBucket.tenant_id == draft.tenant
    draft.default("is_default", not _any(draft.session, mine, *default))


def _counter(draft: Draft) -> None:
    """A period is counted once; a monthly one starts on the first day."""
    granularity = draft.default("granularity", UsageCounterGranularity.DAY)
    day = EPOCH.date() + timedelta(days=draft.number)
    if granularity == UsageCounterGranularity.MONTH:
        years, month = divmod(draft.number, MONTHS)
        day = date(EPOCH.year + years, month + 1, 1)
    draft.default("period_start", day)


def _token(draft: Draft) -> None:
    scopes = draft.default("scopes", ["conversations:read"])
    draft.default("scope_key", " ".join(sorted(set(scopes))))


def _mfa_method(draft: Draft) -> None:
    """Each kind has its own secret."""
    kind = draft.default("method_type", MfaMethodType.TOTP)
    if kind == MfaMethodType.TOTP:
        draft.default("secret_encrypted", draft.label.encode())
    else:
        draft.default("credential_json", {"id": draft.label, "public_key": "", "sign_count": 0})


def _reservation(draft: Draft) -> None:
    """A reservation names tenant and user when the sign-up is done, and neither before."""
    finalized = SignupInviteReservationStatus.FINALIZED
    if draft.has("tenant_id") or draft.has("user_id"):
        draft.default("status", finalized)
    if draft.values.get("status") == finalized and not draft.has("user_id"):
        tenant = draft.tenant or draft.maker.tenant.id
        draft.values["tenant_id"] = tenant
        owner = draft.maker.make(TenantUserMembership, tenant=tenant, role=TenantRole.OWNER)
        draft.values["user_id"] = owner.user_id
    _stamp(draft)


def _redeem(draft: Draft, row: TenantSignupInviteReservation) -> None:
    if row.status != SignupInviteReservationStatus.FINALIZED:
        return
    invite = draft.lock(TenantSignupInvite, row.invite_id)
    invite.redeemed_count += 1
    invite.last_redeemed_at = invite.updated_at = draft.at
    if invite.redeemed_count >= invite.max_redemptions:
        invite.status = TenantSignupInviteStatus.EXHAUSTED


def _invite(draft: Draft) -> None:
    """An invite is exhausted exactly when it is redeemed as often as it may be."""
    most = draft.default("max_redemptions", 1)
    if draft.values.get("status") == TenantSignupInviteStatus.EXHAUSTED:
        draft.default("redeemed_count", most)
    elif draft.values.get("redeemed_count") == most:
        draft.default("status", TenantSignupInviteStatus.EXHAUSTED)
    _stamp(draft)


def _user(draft: Draft) -> None:
    draft.default("email_verified_at", draft.at)


def _join(draft: Draft, row: User) -> None:
    """A person belongs to a tenant by a membership."""
    if draft.tenant is not None:
        draft.maker.make(TenantUserMembership, user=row, tenant=draft.tenant)


def _run(draft: Draft) -> None:
    if len(str(draft.values.get("id", ""))) > MAX_RUN_ID:
        message = f"a run id has at most {MAX_RUN_ID} characters"
        raise ValueTooLongError(message, limit=MAX_RUN_ID, table="workflow_runs", column="id")
    _stamp(draft)


def _step(draft: Draft) -> None:
    """Steps are numbered from 0 within their run."""
    run = WorkflowRunStep.workflow_run_id == draft.values["workflow_run_id"]
    last = draft.session.scalar(select(func.max(WorkflowRunStep.sequence_no)).where(run))
    draft.default("sequence_no", 0 if last is None else last + 1)
    _stamp(draft)


def _weigh(draft: Draft, row: VectorStoreFile) -> None:
    """A store is as large as its live files."""
    if row.deleted_at is None:
        store = draft.lock(VectorStore, row.vector_store_id)
        store.usage_bytes += row.usage_bytes or row.size_bytes or 0
        store.updated_at = draft.at


BEFORE: dict[type[Base], Callable[[Draft], None]] = {
    **dict.fromkeys(STAMPS, _stamp),
    ServiceAccountToken: _token,
    StorageBucket: _bucket,
    SubscriptionInvoice: _period,
    SubscriptionUsage: _period,
    TenantSignupInvite: _invite,
    TenantSignupInviteReservation: _reservation,
    TenantSubscription: _subscription,
    UsageCounter: _counter,
    User: _user,
    UserMfaMethod: _mfa_method,
    WorkflowRun: _run,
    WorkflowRunStep: _step,
    **BEFORE_CONVERSATIONS,
}
"""Fills in what the other values of a row imply."""

AFTER: dict[type[Base], Callable[[Draft, Any], None]] = {
    TenantSignupInviteReservation: _redeem,
    User: _join,
    VectorStoreFile: _weigh,
    **AFTER_CONVERSATIONS,
}
"""Changes what a stored row changes elsewhere."""
