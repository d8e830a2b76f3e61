"""Rows of all 46 tables for one tenant, not stored: every column filled, tied together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from agentdb.ledger.values import LedgerEventKind, QueueItemStatus
from agentdb.orm import Base
from agentdb.testing.factories.columns import EPOCH
from agentdb.testing.factories.references import (
    attribute_of,
    models_by_table,
    table_of,
    target_of,
)
from agentdb.testing.samples import (
    Rows,
    sample_row,
    sample_rows,
    sample_values,
    store,
    unowned_rows,
)
from agentdb.testing.snapshots import Snapshot, snapshot

__all__ = ["Rows", "Snapshot", "attribute_of", "snapshot", "store", "table_of"]

INSTANT: datetime = EPOCH
DISTANT = datetime(2999, 1, 1, tzinfo=UTC)
DAY: date = EPOCH.date()
MODELS = models_by_table()
"""The model of each table, parents first."""
parent_of = target_of
row_of = sample_row
values_of = sample_values
unowned_rows_of = unowned_rows


def rows_of(label: str, given: Mapping[str, Any] | None = None) -> Rows:
    """Return a row of every table, as verbs find them: a lease is over, a token is not.

    Args:
        label: Stands in every text.
        given: Rows that are there already, by table.
    """
    rows = sample_rows(label, given=given)
    rows["agent_messages"].content = {"text": label}
    frame = rows["conversation_ledger_events"]
    frame.kind = LedgerEventKind.MESSAGE_CITATION
    cited = {"type": "container_file_citation", "container_id": label, "file_id": label}
    frame.payload_json = {**frame.payload_json, "citation": cited}
    rows["user_mfa_methods"].verified_at = INSTANT
    token = rows["service_account_tokens"]
    token.scopes, token.scope_key, token.expires_at = [label], label, DISTANT
    run = rows["conversation_run_queue_items"]
    run.status, run.attempt_count, run.started_at = QueueItemStatus.RUNNING, 1, INSTANT
    return rows


def key_of(row: Base) -> Any:
    """Return the primary key of a row; a tuple where it has several columns."""
    columns = table_of(type(row)).primary_key.columns
    values = [getattr(row, attribute_of(column)) for column in columns]
    return tuple(values) if len(values) > 1 else values[0]
