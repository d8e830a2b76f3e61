"""What every column that holds an id refers to: derived from foreign keys, else said here."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import Column, Uuid
from sqlalchemy.types import TypeDecorator

from agentdb.orm import TenancyClass
from tests.rows import MODELS, attribute_of, table_of


class Kind(Enum):
    """What a tenant may write into a column that holds an id."""

    KEY = "the key of the row itself: nobody's yet"
    OWNER = "its own tenant"
    TIE = "a row of its tenant, in a system unit too"
    PERSON = "a member; a system unit names people who have left, too"
    CATALOGUE = "a row that all tenants share"
    OPERATOR = "nothing: the row is the operator's"
    RECORD = "anything: it is kept as it was told, and no verb follows it"


KEPT_AS_TOLD = {
    "activity_events": {"actor_id", "object_id", "request_id"},
    "activity_last_seen": {"last_seen_event_id"},
    "agent_conversations": {"provider_conversation_id", "last_run_id", "sdk_session_id"},
    "agent_messages": {"tool_call_id", "run_id"},
    "agent_run_events": {"response_id", "tool_call_id"},
    "agent_run_usage": {"response_id", "run_id"},
    "containers": {"openai_id"},
    "conversation_ledger_events": {
        "stream_id",
        "event_id",
        "response_id",
        "workflow_run_id",
        "item_id",
        "tool_call_id",
    },
    "conversation_ledger_segments": {"visible_through_event_id"},
    "security_events": {"request_id"},
    "status_subscriptions": {"created_by"},
    "stripe_events": {"stripe_event_id"},
    "subscription_invoices": {"external_invoice_id"},
    "subscription_usage": {"external_event_id"},
    "tenant_subscriptions": {"processor_customer_id", "processor_subscription_id"},
    "vector_store_files": {"openai_file_id"},
    "vector_stores": {"openai_id"},
    "workflow_run_steps": {"response_id"},
    "workflow_runs": {"trace_id"},
}
"""Ids of providers and of frames, and places in a feed or a ledger: they are compared among rows of
one tenant, and lead no verb to another row. The frames of a stream name their workflow run so."""
UNKEYED = {
    ("agent_run_usage", "tenant_id"): Kind.OWNER,
    ("conversation_summaries", "tenant_id"): Kind.OWNER,
    ("service_account_tokens", "tenant_id"): Kind.OWNER,
    ("status_subscriptions", "tenant_id"): Kind.OWNER,
    ("workflow_runs", "tenant_id"): Kind.OWNER,
    ("workflow_runs", "user_id"): Kind.PERSON,
    ("workflow_runs", "deleted_by"): Kind.PERSON,
    ("workflow_run_steps", "workflow_run_id"): Kind.TIE,
    ("workflow_run_steps", "deleted_by"): Kind.PERSON,
    **{(t, n): Kind.RECORD for t, names in KEPT_AS_TOLD.items() for n in names},
}
"""The columns that hold an id without a foreign key."""


class Reference(NamedTuple):
    """A column that refers to a row which not every tenant may name.

    Attributes:
        table: Its table.
        attribute: Its attribute.
        kind: What it may hold.
    """

    table: str
    attribute: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.table}.{self.attribute}"

    @property
    def is_owner(self) -> bool:
        """Whether the row belongs by it."""
        return self.attribute == MODELS[self.table].__tenancy__.column


def holds_id(column: Column[Any]) -> bool:
    """Tell by its name or its type that a column holds an id."""
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    named = column.name == "id" or column.name.endswith(("_id", "_ids", "_by", "_uuid"))
    return named or isinstance(kind, Uuid) or bool(column.foreign_keys)


def kind_of(column: Column[Any]) -> Kind:
    """Return what a column that holds an id refers to.

    Raises:
        KeyError: Nobody has said it.
    """
    table = column.table.name
    for key in column.foreign_keys:
        return _kind_of_target(table, column.name, key.column.table.name)
    if column.primary_key and column.name == "id":
        return Kind.KEY
    return UNKEYED[table, column.name]


def _kind_of_target(table: str, name: str, target: str) -> Kind:
    kinds = {TenancyClass.SHARED: Kind.CATALOGUE, TenancyClass.SYSTEM: Kind.OPERATOR}
    if target == "tenant_accounts":
        is_owner = name == MODELS[table].__tenancy__.column
        return Kind.OWNER if is_owner else Kind.RECORD
    if target == "users":
        return Kind.PERSON
    return kinds.get(MODELS[target].__tenancy__.kind, Kind.TIE)


def _references() -> Iterator[Reference]:
    for name, model in MODELS.items():
        if model.__tenancy__.column is None or name in {"tenant_accounts", "users"}:
            continue
        for column in filter(holds_id, table_of(model).columns):
            kind = kind_of(column)
            if kind in {Kind.TIE, Kind.PERSON, Kind.OPERATOR}:
                yield Reference(name, attribute_of(column), kind)


# A membership is what makes its user one of the tenant's: it names whom it likes.
REFERENCES = [r for r in _references() if r[:2] != ("tenant_user_memberships", "user_id")]
"""The references that a unit of a tenant writes, and that must not leave the tenant."""
TIES = [r for r in REFERENCES if r.kind is Kind.TIE]
"""Those that a system unit keeps in the tenant of the row, too."""
