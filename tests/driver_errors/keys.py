"""The keys and references of all tables, and rows that meet them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, UniqueConstraint

from tests.rows import (
    INSTANT,
    MODELS,
    parent_of,
    table_of,
)

FITTING: dict[str, dict[str, Any]] = {
    "uq_service_account_tokens_active_global": {"tenant_id": None, "account": "ci"},
    "uq_service_account_tokens_active_service_accounts": {"account": "ci"},
    "uq_user_notification_preferences_null_tenant": {"tenant_id": None},
    "uq_usage_counters_tenant_period_null_user": {"user_id": None},
    "uq_containers_tenant_id_name_deleted_at": {"deleted_at": INSTANT},
    "uq_conversation_ledger_segments_conversation_id_segment_index": {"truncated_at": INSTANT},
    "uq_conversation_run_queue_items_head": {"status": "ready"},
}
"""What a row holds to be in a partial index, or in one that another would hide."""


APART = {"uq_conversation_ledger_segments_active": {"segment_index": 2}}
"""What the second row holds to meet no other key."""


HIDDEN = {"ix_user_sessions_refresh_jti", "pk_agent_containers", "pk_agent_vector_stores"}
"""Keys whose duplicates always meet a narrower one too, which may be the one that is named."""


def unique_keys(table: Table) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the columns of each unique constraint and index."""
    yield str(table.primary_key.name), [c.name for c in table.primary_key.columns]
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield str(constraint.name), [c.name for c in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield str(index.name), [c.name for c in index.columns]


KEYS = [
    (name, key, columns)
    for name, model in MODELS.items()
    for key, columns in sorted(unique_keys(table_of(model)))
    if key not in HIDDEN
]


PARENTS = [
    (name, column.name)
    for name, model in MODELS.items()
    for column in table_of(model).columns
    if column.foreign_keys
]


def ancestors(table: str) -> set[str]:
    """Return the tables that a row of *table* may refer to, directly or not."""
    found: set[str] = set()
    todo = [table]
    while todo:
        for column in table_of(MODELS[todo.pop()]).columns:
            parent = parent_of(column)
            if parent is not None and parent[0] not in found:
                found.add(parent[0])
                todo.append(parent[0])
    return found - {table}
