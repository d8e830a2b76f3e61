"""What goes into the verbs of vector stores."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from agentdb.types import JsonObject


class RemoteState(TypedDict, total=False):
    """What the provider tells of a store."""

    usage_bytes: int
    expires_after: JsonObject | None
    expires_at: datetime | None
    last_active_at: datetime | None


class StoreFields(RemoteState, total=False):
    """Optional columns of a store."""

    owner_user_id: UUID | None
    description: str | None
    status: str
    metadata_json: JsonObject


class FileFields(TypedDict, total=False):
    """Optional columns of a file."""

    mime_type: str | None
    size_bytes: int | None
    usage_bytes: int
    status: str
    attributes_json: JsonObject
    chunking_json: JsonObject | None
    last_error: str | None
