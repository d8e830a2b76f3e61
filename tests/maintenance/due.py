"""Rows that are due for each maintenance verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from agentdb.testing import Factory
from agentdb.types import utc_now
from tests.maintenance.test_billing import subscribe, waiting

YEARS = timedelta(days=3 * 365)
LONG_AGO = utc_now() - YEARS
COUNT = 3
"""How many rows are due, at least: a batch of two is followed by another."""


def _plans(make: Factory) -> None:
    make.billing_plan(code="free")
    for _ in range(COUNT):
        subscribe(make, waiting("2024-03-01T00:00:00.000000+00:00"))


def _uploads(make: Factory) -> None:
    make.storage_object.many(COUNT, status="pending", created_at=LONG_AGO)


def _objects(make: Factory) -> None:
    make.storage_object.many(COUNT, status="ready", expires_at=LONG_AGO)


def _runs(make: Factory) -> None:
    for _ in range(COUNT):
        run = make.workflow_run(status="running", started_at=LONG_AGO)
        make.workflow_run_step(workflow_run=run, status="running")


def _activity(make: Factory) -> None:
    for event in make.activity_event.many(COUNT, created_at=LONG_AGO):
        make.activity_event_receipt(event=event)


def _deleted(make: Factory) -> None:
    for _ in range(COUNT):
        bucket = make.storage_bucket(deleted_at=LONG_AGO)
        make.storage_object(bucket=bucket, status="deleted", deleted_at=LONG_AGO)
        run = make.workflow_run(deleted_at=LONG_AGO)
        make.workflow_run_step(workflow_run=run)
        make.workflow_run_step(deleted_at=LONG_AGO)
        make.container(deleted_at=LONG_AGO)
        store = make.vector_store(deleted_at=LONG_AGO)
        make.vector_store_file(vector_store=store)
        make.vector_store_file(deleted_at=LONG_AGO)


def _sessions(make: Factory) -> None:
    make.user_session.many(COUNT, revoked_at=LONG_AGO)
    make.user_session.many(COUNT, created_at=LONG_AGO, last_seen_at=LONG_AGO)


def _stripe_events(make: Factory) -> None:
    for event in make.stripe_event.many(
        COUNT, processed_at=LONG_AGO, processing_outcome="processed"
    ):
        make.stripe_event_dispatch(stripe_event_id=event.id, status="completed")


def _contradictions(make: Factory) -> None:
    make.storage_bucket.many(COUNT + 1, is_default=True)
    for _ in range(COUNT):
        store = make.vector_store()
        make.vector_store_file(vector_store=store, size_bytes=5)
        with make.transaction() as session:
            session.merge(store).usage_bytes = 7


def _dispatches(make: Factory) -> None:
    for attempts in (1, 1, 10):
        make.stripe_event_dispatch(status="in_progress", attempts=attempts, next_retry_at=LONG_AGO)


def _queue(make: Factory) -> None:
    for attempts in (1, 1, 5):
        conversation = make.conversation()
        make.conversation_run_queue_item(
            conversation=conversation,
            status="running",
            started_at=LONG_AGO,
            attempt_count=attempts,
        )
        make.conversation_run_queue_item(conversation=conversation, status="queued")
    for _ in range(COUNT):
        make.conversation_run_queue_item(conversation=make.conversation(), status="queued")


def _counters(make: Factory) -> None:
    for number in range(COUNT):
        day = (LONG_AGO - timedelta(days=number)).date()
        make.usage_counter(period_start=day, user_id=None)


DUE: Mapping[str, Callable[[Factory], object]] = {
    "apply_pending_plans": _plans,
    "expire_invites": lambda m: m.tenant_signup_invite.many(COUNT, expires_at=LONG_AGO),
    "expire_objects": _objects,
    "expire_reservations": lambda m: m.tenant_signup_invite_reservation.many(
        COUNT, expires_at=LONG_AGO
    ),
    "expire_status_subscriptions": lambda m: m.status_subscription.many(
        COUNT, status="pending_verification", verification_expires_at=LONG_AGO
    ),
    "expire_uploads": _uploads,
    "expire_vector_stores": lambda m: m.vector_store.many(COUNT, expires_at=LONG_AGO),
    "fail_stale_runs": _runs,
    "purge_activity_events": _activity,
    "purge_deleted": _deleted,
    "purge_login_events": lambda m: m.user_login_event.many(COUNT, created_at=LONG_AGO),
    "purge_queue_items": lambda m: m.conversation_run_queue_item.many(
        COUNT, status="completed", completed_at=LONG_AGO, created_at=LONG_AGO
    ),
    "purge_recovery_codes": lambda m: m.user_recovery_code.many(COUNT, used_at=LONG_AGO),
    "purge_run_events": lambda m: m.agent_run_event.many(COUNT, ingested_at=LONG_AGO),
    "purge_security_events": lambda m: m.security_event.many(COUNT, created_at=LONG_AGO),
    "purge_sessions": _sessions,
    "purge_signup_requests": lambda m: m.tenant_signup_request.many(
        COUNT, status="rejected", created_at=LONG_AGO, decided_at=LONG_AGO
    ),
    "purge_stripe_events": _stripe_events,
    "purge_summaries": lambda m: m.conversation_summary.many(COUNT, expires_at=LONG_AGO),
    "purge_tokens": lambda m: [
        m.service_account_token(account=f"a{n}", expires_at=LONG_AGO) for n in range(COUNT)
    ],
    "reconcile": _contradictions,
    "recover_dispatches": _dispatches,
    "recover_queue_items": _queue,
    "roll_up_usage": _counters,
}
"""What makes rows that are due, by verb; `purge_truncated` needs the verbs that truncate."""
