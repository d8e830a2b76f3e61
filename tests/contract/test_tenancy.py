"""How every table belongs to tenants: what is filtered, guarded and closed follows from it."""

from __future__ import annotations

import pytest

from agentdb.orm import Base, Tenancy, TenancyClass
from tests.rows import MODELS, table_of

EXPECTED = {
    TenancyClass.DIRECT: {
        "activity_event_receipts",
        "activity_events",
        "activity_last_seen",
        "agent_containers",
        "agent_conversations",
        "agent_run_usage",
        "agent_vector_stores",
        "containers",
        "conversation_ledger_events",
        "conversation_ledger_segments",
        "conversation_run_queue_items",
        "conversation_summaries",
        "storage_buckets",
        "storage_objects",
        "tenant_accounts",
        "tenant_settings",
        "tenant_subscriptions",
        "tenant_user_memberships",
        "usage_counters",
        "user_sessions",
        "vector_stores",
        "workflow_runs",
    },
    TenancyClass.OPTIONAL: {
        "security_events",
        "service_account_tokens",
        "status_subscriptions",
        "tenant_signup_invite_reservations",
        "user_login_events",
        "user_notification_preferences",
    },
    TenancyClass.PARENT: {
        "agent_messages",
        "agent_run_events",
        "subscription_invoices",
        "subscription_usage",
        "vector_store_files",
        "workflow_run_steps",
    },
    TenancyClass.IDENTITY: {
        "password_history",
        "user_consents",
        "user_mfa_methods",
        "user_profiles",
        "user_recovery_codes",
        "users",
    },
    TenancyClass.SHARED: {"billing_plans", "plan_features"},
    TenancyClass.SYSTEM: {
        "stripe_event_dispatch",
        "stripe_events",
        "tenant_signup_invites",
        "tenant_signup_requests",
    },
}
"""The tables of each class."""

WITHOUT_FOREIGN_KEY = {
    "agent_run_usage",
    "conversation_summaries",
    "service_account_tokens",
    "status_subscriptions",
    "tenant_accounts",
    "workflow_run_steps",
    "workflow_runs",
}
"""Tables whose owner the database does not know: erasing a tenant has to find them."""
PARENTS = {
    "agent_messages": ("conversation_id", "agent_conversations"),
    "agent_run_events": ("conversation_id", "agent_conversations"),
    "subscription_invoices": ("subscription_id", "tenant_subscriptions"),
    "subscription_usage": ("subscription_id", "tenant_subscriptions"),
    "vector_store_files": ("vector_store_id", "vector_stores"),
    "workflow_run_steps": ("workflow_run_id", "workflow_runs"),
}
every_table = pytest.mark.parametrize("table", MODELS)


def declared(kind: TenancyClass) -> set[str]:
    """Return the tables that declare a class."""
    return {name for name, model in MODELS.items() if model.__tenancy__.kind is kind}


@every_table
def test_every_model_declares_how_it_belongs(table: str) -> None:
    """A table without a declaration of its own would be filtered by a guess."""
    assert isinstance(vars(MODELS[table]).get("__tenancy__"), Tenancy)
    assert not hasattr(Base, "__tenancy__")


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.value)
def test_the_classes_hold_exactly_their_tables(kind: TenancyClass) -> None:
    """Moving a table to another class is a decision, not an edit."""
    assert EXPECTED[kind] == declared(kind)


def test_the_classes_hold_all_tables_once() -> None:
    """22 direct, 6 optional, 6 by a parent, 6 of people, 2 shared, 4 of the operator."""
    assert [len(tables) for tables in EXPECTED.values()] == [22, 6, 6, 6, 2, 4]
    assert set(MODELS) == set().union(*EXPECTED.values())


@every_table
def test_the_column_of_a_declaration_fits_its_class(table: str) -> None:
    """An owner that is required cannot be NULL, an optional one can; no other table names one."""
    tenancy = MODELS[table].__tenancy__
    kind = tenancy.kind
    if kind in {TenancyClass.SHARED, TenancyClass.SYSTEM}:
        assert tenancy.column is None
        return
    assert tenancy.column is not None
    column = table_of(MODELS[table]).c[tenancy.column]

    assert (kind is TenancyClass.OPTIONAL) == bool(column.nullable)
    assert tenancy.as_text == (kind is TenancyClass.DIRECT and column.type.python_type is str)
    assert tenancy.shows_members == (table == "user_notification_preferences")


@pytest.mark.parametrize("table", sorted(PARENTS))
def test_a_row_that_belongs_by_its_parent_names_it(table: str) -> None:
    """The parent is a row of one tenant itself."""
    tenancy = MODELS[table].__tenancy__
    column, parent = PARENTS[table]

    assert (column, parent) == (tenancy.column, tenancy.parent)
    assert TenancyClass.DIRECT is MODELS[parent].__tenancy__.kind


def test_the_owners_without_a_foreign_key_are_known() -> None:
    """The others are kept right by the database, these by the verbs alone."""
    found = {
        name
        for name, model in MODELS.items()
        if (column := model.__tenancy__.column) and not table_of(model).c[column].foreign_keys
    }

    assert WITHOUT_FOREIGN_KEY | {"users"} == found
