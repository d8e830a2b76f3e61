"""What goes into the verbs of buckets and objects."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, TypedDict
from uuid import UUID

from agentdb.types import JsonObject

OnFrames: TypeAlias = Literal["tombstone", "refuse"]
"""What a purge does where frames of the ledger are in the objects: leave tombstones, or refuse."""


class BucketFields(TypedDict, total=False):
    """Optional columns of a bucket."""

    region: str | None
    prefix: str | None
    status: str


class StoredFields(TypedDict, total=False):
    """What is known of an object once it is stored; what is not given stays as it is."""

    size_bytes: int | None
    checksum_sha256: str | None
    mime_type: str | None


class ObjectFields(StoredFields, total=False):
    """Optional columns of a new object."""

    created_by_user_id: UUID | None
    agent_key: str | None
    conversation_id: UUID | None
    metadata_json: JsonObject
    expires_at: datetime | None
