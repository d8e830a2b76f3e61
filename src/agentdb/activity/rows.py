"""What goes into the verbs of the activity feed, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypedDict
from uuid import UUID

from agentdb.activity.models import ActivityEvent, ActivityLastSeen
from agentdb.types import JsonObject


class ActivityFields(TypedDict, total=False):
    """Optional columns of an event."""

    actor_id: UUID | None
    actor_type: str | None
    actor_role: str | None
    object_type: str | None
    object_id: str | None
    object_name: str | None
    status: str
    source: str | None
    request_id: str | None
    ip_hash: str | None
    user_agent: str | None
    metadata_json: JsonObject | None


class ActivityFilters(TypedDict, total=False):
    """Which events: those equal in every column that is given and not None.

    Attributes:
        since: Of this instant or later.
        until: Before this instant.
    """

    since: datetime | None
    until: datetime | None
    action: str | None
    actor_id: UUID | None
    actor_type: str | None
    actor_role: str | None
    object_type: str | None
    object_id: str | None
    object_name: str | None
    status: str | None
    source: str | None
    request_id: str | None
    ip_hash: str | None
    user_agent: str | None


class InboxItem(NamedTuple):
    """An event as a member sees it.

    Attributes:
        event: The event.
        state: What it is to the member: a `ReceiptStatus`.
    """

    event: ActivityEvent
    state: str


@dataclass(frozen=True, slots=True)
class InboxPage:
    """A page of a member's inbox.

    Attributes:
        items: The events of the page, newest first.
        next_cursor: Continues after the last of them; None exactly when nothing follows.
        unread: Unread events of the tenant, filtered or not; 1000 stands for that many or more.
        checkpoint: How far the member has read; None if there is no checkpoint yet.
    """

    items: tuple[InboxItem, ...]
    next_cursor: str | None
    unread: int
    checkpoint: ActivityLastSeen | None
