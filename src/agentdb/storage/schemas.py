"""Schemas of buckets and objects."""

from pydantic import Field

from agentdb.columns import BigInt, Bool, JsonDict, Str16, Str64, Str128, Str256, Str512, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema
from agentdb.storage.values import StorageBucketStatus, StorageObjectStatus


class StorageBucketRead(ReadSchema):
    """A bucket at an object store."""

    id: UuidRef
    tenant_id: UuidRef
    provider: Str16
    bucket_name: Str128
    region: Str64 | None
    prefix: Str128 | None
    is_default: Bool
    status: Str16
    created_at: AwareInstant
    updated_at: AwareInstant
    deleted_at: AwareInstant | None


class StorageBucketCreate(CreateSchema):
    """A bucket at an object store, to be registered."""

    tenant_id: UuidRef
    provider: Str16
    bucket_name: Str128
    region: Str64 | None = None
    prefix: Str128 | None = None
    is_default: Bool = True
    status: Str16 = StorageBucketStatus.READY


class StorageObjectRead(ReadSchema):
    """A stored object."""

    id: UuidRef
    tenant_id: UuidRef
    bucket_id: UuidRef
    object_key: Str512
    filename: Str256
    mime_type: Str128 | None
    size_bytes: BigInt | None
    checksum_sha256: Str64 | None
    status: Str16
    created_by_user_id: UuidRef | None
    agent_key: Str64 | None
    """The agent that made the object."""
    conversation_id: UuidRef | None
    metadata_json: JsonDict
    expires_at: AwareInstant | None
    deleted_at: AwareInstant | None
    created_at: AwareInstant
    updated_at: AwareInstant


class StorageObjectCreate(CreateSchema):
    """An object about to be uploaded."""

    tenant_id: UuidRef
    bucket_id: UuidRef
    object_key: Str512
    filename: Str256
    mime_type: Str128 | None = None
    size_bytes: BigInt | None = None
    checksum_sha256: Str64 | None = None
    status: StorageObjectStatus = StorageObjectStatus.PENDING
    created_by_user_id: UuidRef | None = None
    agent_key: Str64 | None = None
    conversation_id: UuidRef | None = None
    metadata_json: JsonDict = Field(default_factory=dict)
    expires_at: AwareInstant | None = None
