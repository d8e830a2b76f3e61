"""What goes into the verbs of code containers."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agentdb.types import JsonObject


class ContainerFields(TypedDict, total=False):
    """Optional columns of a container."""

    owner_user_id: UUID | None
    memory_limit: str
    status: str
    expires_after: JsonObject | None
    last_active_at: datetime | None
    metadata_json: JsonObject
