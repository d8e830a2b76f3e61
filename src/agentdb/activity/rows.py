"""What goes into the verbs of the activity feed."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

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
