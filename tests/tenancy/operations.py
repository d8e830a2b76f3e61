"""Arguments of the operations that lead to the rows of a tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from inspect import isfunction
from typing import Any

from agentdb import operations
from agentdb.auth.credentials import NewToken
from agentdb.auth.values import LoginResult, PepperVersion
from agentdb.billing.rows import NewInvoice
from agentdb.conversations.rows import NewMessage
from agentdb.signup.rows import NewInvite
from tests.rows import DISTANT, INSTANT, Rows, rows_of

MESSAGES = [NewMessage(role="user", content="new")]
TOKEN = NewToken(refresh_token_hash="n", refresh_jti="new", signing_kid="n", expires_at=DISTANT)
FRAMES = [
    {
        "schema": "public_sse_v1",
        "kind": "lifecycle",
        "stream_id": "new",
        "event_id": 1,
        "server_timestamp": INSTANT.isoformat(),
    }
]
PLAN: str = rows_of("beta")["billing_plans"].code
"""A plan; the catalogue is the same for all tenants."""


def _held(rows: Rows) -> tuple[int, int]:
    run = rows["conversation_run_queue_items"]
    return run.id, run.attempt_count


def _never(_entries: object) -> bool:
    return False


OPERATIONS: dict[str, Callable[[Rows], dict[str, Any]]] = {
    "apply_subscription_snapshot": lambda r: {
        "processor": r["tenant_subscriptions"].processor,
        "processor_subscription_id": r["tenant_subscriptions"].processor_subscription_id,
        "plan_code": PLAN,
        "status": "active",
        "event_at": INSTANT,
    },
    "append_ledger": lambda r: {"ref": r["agent_conversations"].id, "frames": FRAMES},
    "append_messages": lambda r: {
        "ref": r["agent_conversations"].id,
        "messages": MESSAGES,
        "user_id": r["users"].id,
    },
    "attach_file": lambda r: {
        "vector_store_id": r["vector_stores"].id,
        "openai_file_id": r["vector_store_files"].openai_file_id,
        "filename": "new",
    },
    "bind_agent": lambda r: {
        "agent_key": "new",
        "container_id": r["containers"].id,
        "vector_store_id": r["vector_stores"].id,
    },
    "cancel_run": lambda r: {"run_id": r["workflow_runs"].id},
    "cancel_subscription": lambda _: {},
    "change_plan": lambda _: {"plan_code": PLAN},
    "complete_run": lambda r: {
        "ref": r["agent_conversations"].id,
        "response_id": r["agent_run_usage"].response_id,
        "usage": {"requests": 1},
        "messages": MESSAGES,
        "workflow_run_id": r["workflow_runs"].id,
        "queue_item": _held(r),
    },
    "delete_conversation": lambda r: {"ref": r["agent_conversations"].id},
    "delete_run": lambda r: {"run_id": r["workflow_runs"].id, "min_age": timedelta(0)},
    "detach_file": lambda r: {
        "vector_store_id": r["vector_stores"].id,
        "openai_file_id": r["vector_store_files"].openai_file_id,
    },
    "inbox": lambda r: {"user_id": r["users"].id},
    "issue_session": lambda r: {
        "user_id": r["users"].id,
        "scopes": ["new"],
        "token": TOKEN,
        "session_id": r["user_sessions"].id,
    },
    "ingest_invoice": lambda r: {
        "processor_subscription_id": r["tenant_subscriptions"].processor_subscription_id,
        "processor": r["tenant_subscriptions"].processor,
        "invoice": NewInvoice(period_start=INSTANT, period_end=DISTANT, amount_cents=1),
    },
    "mark_all_read": lambda r: {"user_id": r["users"].id},
    "restore_run": lambda r: {"run_id": r["workflow_runs"].id},
    "revoke_session": lambda r: {
        "session_id": r["user_sessions"].id,
        "user_id": r["users"].id,
    },
    "revoke_sessions_all": lambda r: {
        "user_id": r["users"].id,
        "except_session_id": r["user_sessions"].id,
    },
    "rotate": lambda r: {"jti": r["service_account_tokens"].refresh_jti, "token": TOKEN},
    "set_entitlements": lambda r: {"flags": {"feature.new": True}, "actor": r["users"].id},
    "soft_delete_run": lambda r: {"run_id": r["workflow_runs"].id, "deleted_by": r["users"].id},
    "start_subscription": lambda _: {"plan_code": PLAN},
    "start_workflow_run": lambda r: {
        "ref": r["agent_conversations"].id,
        "workflow_key": "new",
        "user_id": r["users"].id,
        "id": f"{r['workflow_runs'].id}",
    },
    "truncate_from": lambda r: {
        "ref": r["agent_conversations"].id,
        "message_id": r["agent_messages"].id,
        "actor_user_id": r["users"].id,
        "through_event_id": r["conversation_ledger_events"].id,
        "cancel_queue": True,
    },
}
"""What a unit of a tenant may call, and with what."""

OF_SYSTEM: dict[str, Callable[[Rows], dict[str, Any]]] = {
    "approve_signup_request": lambda r: {
        "request_id": r["tenant_signup_requests"].id,
        "decided_by": r["users"].id,
        "invite": NewInvite(token_hash="new", token_hint="new"),
    },
    "change_email": lambda r: {"user_id": r["users"].id, "email": "new@example.com"},
    "change_password": lambda r: {
        "user_id": r["users"].id,
        "password_hash": "new",
        "pepper_version": PepperVersion.V2,
        "is_reused": _never,
    },
    "delete_user": lambda r: {"user_id": r["users"].id},
    "disable_user": lambda r: {"user_id": r["users"].id, "reason": "new"},
    "ingest_stripe_event": lambda r: {
        "stripe_event_id": r["stripe_events"].stripe_event_id,
        "event_type": "invoice.paid",
        "payload": {},
        "handlers": ["new"],
    },
    "provision_user": lambda r: {"email": r["users"].email, "password_hash": "new"},
    "record_login": lambda r: {"user_id": r["users"].id, "result": LoginResult.SUCCESS},
    "reject_signup_request": lambda r: {
        "request_id": r["tenant_signup_requests"].id,
        "decided_by": r["users"].id,
    },
    "sign_up": lambda r: {
        "email": r["users"].email,
        "password_hash": "new",
        "tenant_name": "new",
        "reservation_id": r["tenant_signup_invite_reservations"].id,
    },
}
"""What reaches across tenants: closed to a unit of one."""
OF_DATABASE = {"erase_tenant", "export_tenant", "import_tenant", "write_export"}
"""Operations that run units of their own."""


def arguments(name: str, rows: Rows) -> dict[str, Any]:
    """Return the arguments of an operation that lead to *rows*."""
    return {**OPERATIONS, **OF_SYSTEM}[name](rows)


def named_operations() -> set[str]:
    """Return the names of all operations."""
    return {name for name in operations.__all__ if isfunction(getattr(operations, name))}
