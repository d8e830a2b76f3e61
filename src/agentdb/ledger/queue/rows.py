"""What the queue returns: plain rows, no entities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from agentdb.direct import Row
from agentdb.errors import InvalidValueError
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.values import QueueItemStatus
from agentdb.tenancy.predicates import table_of
from agentdb.types import JsonObject
from agentdb.types.json import JsonText

LEASE_EXPIRED = "lease_expired"
"""The ``code`` in the error of a run whose last worker was not heard of again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """A queued run.

    Attributes:
        attempt: How often it was claimed; what a worker names to prove that the claim is its own.
        payload: What the host queued.
        error: The error of the last attempt that failed.
        started_at: The last sign of life of its worker.
        completed_at: When it was completed or failed for good.
    """

    id: int
    tenant_id: UUID
    conversation_id: UUID
    segment_id: UUID | None
    created_by_user_id: UUID | None
    status: str
    attempt: int
    payload: JsonObject
    error: JsonObject | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None

    def ended_by(self, attempt: int) -> bool:
        """Whether the worker of this attempt has completed or failed it."""
        if self.attempt != attempt:
            return False
        if self.status == QueueItemStatus.COMPLETED:
            return True
        expired = self.error is not None and self.error.get("code") == LEASE_EXPIRED
        return self.status == QueueItemStatus.FAILED and not expired


_NAMES = {"attempt_count": "attempt", "payload_json": "payload", "error_json": "error"}
_FIELDS = tuple(_NAMES.get(name, name) for name in table_of(ConversationRunQueueItem).c.keys())  # noqa: SIM118 -- columns are no dictionary


def stored_item(values: Row) -> QueueItem:
    """Return all columns of a row of the table, in their order, as an item."""
    return QueueItem(**dict(zip(_FIELDS, values, strict=True)))


def queue_item(row: ConversationRunQueueItem) -> QueueItem:
    """Return an entity as an item."""
    return QueueItem(
        id=row.id,
        tenant_id=row.tenant_id,
        conversation_id=row.conversation_id,
        segment_id=row.segment_id,
        created_by_user_id=row.created_by_user_id,
        status=row.status,
        attempt=row.attempt_count,
        payload=row.payload_json,
        error=row.error_json,
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancelled_at=row.cancelled_at,
    )


def encode_object(column: Column[Any], value: object) -> JsonText:
    """Return a JSON object as *column* takes it, checked before anything is locked.

    Raises:
        InvalidValueError: It is no JSON object, or one that a database could not keep.
    """
    if type(value) is not dict:
        place = {"table": column.table.name, "column": column.name}
        raise InvalidValueError("expects a JSON object", **place)
    kind: Any = column.type
    return JsonText(kind.check(value))
