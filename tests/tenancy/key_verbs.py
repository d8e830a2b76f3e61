"""Verbs that make a row by a key which is unique across tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from agentdb.auth.credentials import NewToken
from agentdb.auth.values import UserStatus
from agentdb.operations import complete_run, issue_session, rotate, start_workflow_run
from agentdb.unit_of_work import UnitOfWork
from tests.rows import DISTANT, Rows

Verb = Callable[[UnitOfWork, Rows, Rows], Awaitable[Any]]
"""Called in a unit of the first tenant, with the key that a row of the second holds."""


def _token(holder: Rows) -> NewToken:
    return NewToken(
        refresh_token_hash="new",
        refresh_jti=holder["service_account_tokens"].refresh_jti,
        signing_kid="new",
        expires_at=DISTANT,
    )


def _ref(own: Rows) -> Any:
    return own["agent_conversations"].id


def _provider(holder: Rows) -> str:
    provider: str = holder["agent_conversations"].provider_conversation_id
    return provider


async def _attach_remote(unit: UnitOfWork, _own: Rows, holder: Rows) -> None:
    store, _ = await unit.vector_stores.reserve("new")
    await unit.vector_stores.attach_remote(store.id, holder["vector_stores"].openai_id)


async def _issue_session(unit: UnitOfWork, own: Rows, holder: Rows) -> None:
    user = own["users"].id
    await unit.users.set_status(user, UserStatus.ACTIVE)
    await issue_session(unit, user, ["new"], _token(holder))


VERBS: dict[str, Verb] = {
    "tenant_accounts.rename": lambda u, own, holder: u.tenant_accounts.rename(
        own["tenant_accounts"].id, slug=holder["tenant_accounts"].slug
    ),
    "agent_conversations.get_or_create": lambda u, _, holder: u.agent_conversations.get_or_create(
        "new", "agent", provider_conversation_id=_provider(holder)
    ),
    "agent_conversations.set_session_state": lambda u, own, holder: (
        u.agent_conversations.set_session_state(
            _ref(own), provider_conversation_id=_provider(holder)
        )
    ),
    "agent_conversations.apply_run_metadata": lambda u, own, holder: (
        u.agent_conversations.apply_run_metadata(
            _ref(own), provider_conversation_id=_provider(holder)
        )
    ),
    "agent_run_usage.record": lambda u, own, holder: u.agent_run_usage.record(
        _ref(own), response_id=holder["agent_run_usage"].response_id
    ),
    "complete_run": lambda u, own, holder: complete_run(
        u, _ref(own), holder["agent_run_usage"].response_id, {"requests": 1}
    ),
    "containers.create": lambda u, _, holder: u.containers.create(
        holder["containers"].openai_id, "new"
    ),
    "vector_stores.create": lambda u, _, holder: u.vector_stores.create(
        holder["vector_stores"].openai_id, "new"
    ),
    "vector_stores.attach_remote": _attach_remote,
    "service_account_tokens.issue": lambda u, _, holder: u.service_account_tokens.issue(
        "new", ["new"], _token(holder)
    ),
    "issue_session": _issue_session,
    "rotate": lambda u, own, holder: rotate(
        u, own["service_account_tokens"].refresh_jti, _token(holder)
    ),
    "user_sessions.open": lambda u, own, holder: u.user_sessions.open(
        own["users"].id, holder["user_sessions"].refresh_jti
    ),
    "storage_objects.create": lambda u, own, holder: u.storage_objects.create(
        own["storage_buckets"].id, "new", "new", id=holder["storage_objects"].id
    ),
    "workflow_runs.start": lambda u, own, holder: u.workflow_runs.start(
        "new", own["users"].id, id=holder["workflow_runs"].id
    ),
    "start_workflow_run": lambda u, own, holder: start_workflow_run(
        u, _ref(own), "new", user_id=own["users"].id, id=holder["workflow_runs"].id
    ),
    "workflow_run_steps.record": lambda u, own, holder: u.workflow_run_steps.record(
        own["workflow_runs"].id, "new", "new", "succeeded", id=holder["workflow_run_steps"].id
    ),
}
