"""Which rows of each of the 46 tables are a tenant's, in an order in which parents come first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, Table, and_, exists, or_, select, union

from agentdb.orm import Base, TenancyClass
from agentdb.tenancy import belongs
from agentdb.tenancy.predicates import members_of, model_of

Condition: TypeAlias = ColumnElement[bool]

ORDER = (
    "billing_plans",
    "tenant_accounts",
    "users",
    "tenant_user_memberships",
    "tenant_settings",
    "user_profiles",
    "password_history",
    "user_mfa_methods",
    "user_recovery_codes",
    "user_consents",
    "user_notification_preferences",
    "user_login_events",
    "user_sessions",
    "service_account_tokens",
    "security_events",
    "usage_counters",
    "tenant_signup_invites",
    "tenant_signup_invite_reservations",
    "activity_events",
    "activity_event_receipts",
    "activity_last_seen",
    "tenant_subscriptions",
    "subscription_invoices",
    "subscription_usage",
    "stripe_events",
    "stripe_event_dispatch",
    "containers",
    "agent_containers",
    "vector_stores",
    "vector_store_files",
    "agent_vector_stores",
    "agent_conversations",
    "storage_buckets",
    "storage_objects",
    "conversation_ledger_segments",
    "agent_messages",
    "conversation_summaries",
    "agent_run_usage",
    "conversation_ledger_events",
    "conversation_run_queue_items",
    "workflow_runs",
    "workflow_run_steps",
    "agent_run_events",
    "status_subscriptions",
)
"""The tables that hold rows of tenants. Frames come after objects: an object that goes before its
frame would leave it without a payload, which its CHECK refuses."""

LEFT_OUT = frozenset({"plan_features", "tenant_signup_requests"})
"""Rows of the operator: what a plan offers is said where the plan is, and a request to sign up is
made by somebody who has no tenant yet."""

LOOSE = frozenset(
    {
        "activity_events.actor_id",
        "activity_events.object_id",
        "activity_events.request_id",
        "activity_last_seen.last_seen_event_id",
        "agent_conversations.last_run_id",
        "agent_conversations.provider_conversation_id",
        "agent_conversations.sdk_session_id",
        "agent_messages.run_id",
        "agent_messages.tool_call_id",
        "agent_run_events.response_id",
        "agent_run_events.tool_call_id",
        "agent_run_usage.response_id",
        "agent_run_usage.run_id",
        "containers.openai_id",
        "conversation_ledger_events.event_id",
        "conversation_ledger_events.item_id",
        "conversation_ledger_events.response_id",
        "conversation_ledger_events.stream_id",
        "conversation_ledger_events.tool_call_id",
        "conversation_ledger_events.workflow_run_id",
        "security_events.request_id",
        "stripe_events.stripe_event_id",
        "subscription_invoices.external_invoice_id",
        "subscription_usage.external_event_id",
        "tenant_subscriptions.processor_customer_id",
        "tenant_subscriptions.processor_subscription_id",
        "vector_store_files.openai_file_id",
        "vector_stores.openai_id",
        "workflow_run_steps.response_id",
        "workflow_runs.trace_id",
        "workflow_runs.user_id",
    }
)
"""Columns that name something without a foreign key, and are moved as they are."""

MAPPED = frozenset({"conversation_ledger_segments.visible_through_event_id"})
"""Columns that hold a number which the database drew for a row: it has another one elsewhere."""

_OF_USERS = frozenset({"password_hash", "platform_role"})
_OF_INVITES = frozenset(
    {
        "token_hash",
        "invited_email",
        "issuer_user_id",
        "issuer_tenant_id",
        "signup_request_id",
        "revoked_reason",
        "note",
        "metadata_json",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table that are exported alike.

    Attributes:
        table: The table.
        where: Which rows.
        hidden: Columns of them that are not shown, whoever asks.
    """

    table: Table
    where: Condition
    hidden: frozenset[str] = frozenset()


def table_named(name: str) -> Table:
    """Return the table called *name*."""
    return Base.metadata.tables[name]


def stored_columns(table: Table) -> list[Column[Any]]:
    """Return the columns that are not computed from others."""
    return [column for column in table.columns if column.computed is None]


def references(table: Table) -> list[tuple[Column[Any], Column[Any]]]:
    """Return the columns of *table* that refer to rows, and the columns they refer to.

    What has an owner without a foreign key refers to it all the same.
    """
    found = [(k.parent, k.column) for k in table.foreign_keys]
    tenancy = model_of(table.name).__tenancy__
    if tenancy.kind is TenancyClass.PARENT:
        parent = table_named(str(tenancy.parent)).c.id
        found.append((table.c[str(tenancy.column)], parent))
    return sorted(set(found), key=str)


def parts(tenant: UUID) -> Iterator[Part]:
    """Yield what belongs to *tenant*, and all that it refers to; parents first.

    Two kinds of rows are of others, and go along without what is theirs: users who are no members
    any more, but whom rows refer to, and invites of others by which somebody came here.
    """
    for name in ORDER:
        table = table_named(name)
        hidden = {"signup_request_id"} if name == "tenant_signup_invites" else set[str]()
        yield Part(table, owned_rows(name, tenant), frozenset(hidden))
        if name in _OTHERS:
            others, shown_not = _OTHERS[name]
            yield Part(table, others(tenant), shown_not)


def owned_rows(name: str, tenant: UUID) -> Condition:
    """Return the condition for the rows of a table that are exported as the tenant's own."""
    if name in _OWNED:
        return _OWNED[name](tenant)
    condition = belongs(table_named(name).c, model_of(name).__tenancy__, tenant)
    if condition is None:
        raise LookupError(f"nobody said which rows of {name} belong to a tenant")
    return condition


def _plans(tenant: UUID) -> Condition:
    subscriptions = table_named("tenant_subscriptions")
    used = select(subscriptions.c.plan_id).where(subscriptions.c.tenant_id == tenant)
    return table_named("billing_plans").c.id.in_(used)


def _invites(tenant: UUID) -> Condition:
    return table_named("tenant_signup_invites").c.issuer_tenant_id == tenant


def _reservations(tenant: UUID) -> Condition:
    """Those that made members here, and those of its invites that made none elsewhere."""
    table = table_named("tenant_signup_invite_reservations")
    invites = table_named("tenant_signup_invites")
    issued = select(invites.c.id).where(_invites(tenant))
    unused = and_(table.c.tenant_id.is_(None), table.c.invite_id.in_(issued))
    # Two look-ups: a disjunction of conditions on two indexes would read the whole table.
    return table.c.id.in_(
        union(
            select(table.c.id).where(table.c.tenant_id == tenant), select(table.c.id).where(unused)
        )
    )


def _summaries(tenant: UUID) -> Condition:
    """Those of its conversations: no index begins with their own column for the tenant."""
    conversations = table_named("agent_conversations")
    own = select(conversations.c.id).where(conversations.c.tenant_id == tenant)
    return table_named("conversation_summaries").c.conversation_id.in_(own)


def _events(tenant: UUID) -> Condition:
    return table_named("stripe_events").c.tenant_hint == str(tenant)


def _dispatches(tenant: UUID) -> Condition:
    events = select(table_named("stripe_events").c.id).where(_events(tenant))
    return table_named("stripe_event_dispatch").c.stripe_event_id.in_(events)


def _invites_of_others(tenant: UUID) -> Condition:
    invites = table_named("tenant_signup_invites")
    issuer = invites.c.issuer_tenant_id
    reservations = table_named("tenant_signup_invite_reservations")
    used = select(reservations.c.invite_id).where(reservations.c.tenant_id == tenant)
    return and_(invites.c.id.in_(used), or_(issuer.is_(None), issuer != tenant))


def _strangers(tenant: UUID) -> Condition:
    users = table_named("users").c.id
    return and_(users.in_(union(*_named_users(tenant))), users.not_in(members_of(tenant)))


def _named_users(tenant: UUID) -> Iterator[Select[Any]]:
    """Yield the users that the rows of *tenant* refer to, table by table."""
    for name in ORDER:
        identity = model_of(name).__tenancy__.kind is TenancyClass.IDENTITY
        for column, target in references(table_named(name)):
            if target.table.name == "users" and not identity:
                query = select(column).where(column.is_not(None))
                yield query.where(owned_rows(name, tenant))


_OWNED: Mapping[str, Callable[[UUID], Condition]] = {
    "billing_plans": _plans,
    "tenant_signup_invites": _invites,
    "tenant_signup_invite_reservations": _reservations,
    "conversation_summaries": _summaries,
    "stripe_events": _events,
    "stripe_event_dispatch": _dispatches,
}
_OTHERS: Mapping[str, tuple[Callable[[UUID], Condition], frozenset[str]]] = {
    "users": (_strangers, _OF_USERS),
    "tenant_signup_invites": (_invites_of_others, _OF_INVITES),
}


def erased_rows(name: str, tenant: UUID) -> Condition | None:
    """Return the condition for the rows that go with a tenant; None where people and plans stay.

    Preferences that a member has everywhere stay too, and so does an invite of the tenant by which
    somebody came to another one: it only loses its issuer.
    """
    tenancy = model_of(name).__tenancy__
    if tenancy.kind in {TenancyClass.IDENTITY, TenancyClass.SHARED}:
        return None
    if tenancy.shows_members:
        return table_named(name).c.tenant_id == tenant
    if name == "tenant_signup_invites":
        reservations = table_named("tenant_signup_invite_reservations").alias("used")
        used = reservations.c.invite_id == table_named(name).c.id
        elsewhere = and_(used, reservations.c.tenant_id != tenant)
        return and_(_invites(tenant), ~exists().where(elsewhere))
    return owned_rows(name, tenant)
