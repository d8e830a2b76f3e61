"""Schemas of vector stores, their files, and the agents bound to them."""

from pydantic import Field

from agentdb.columns import Int, JsonDict, LongText, Str16, Str64, Str128, Str256, UuidRef
from agentdb.schema import AwareInstant, CreateSchema, Name128, ReadSchema
from agentdb.vector_stores.values import VectorStoreFileStatus, VectorStoreStatus


class VectorStoreRead(ReadSchema):
    """A vector store at the provider."""

    id: UuidRef
    openai_id: Str64
    """``pending:<id>`` until the provider has made the store."""
    tenant_id: UuidRef
    owner_user_id: UuidRef | None
    name: Str128
    description: LongText | None
    status: Str16
    usage_bytes: Int
    """The sum over the live files, or what the provider last reported."""
    expires_after: JsonDict | None
    """The provider's policy: anchor and days."""
    expires_at: AwareInstant | None
    last_active_at: AwareInstant | None
    metadata_json: JsonDict
    created_at: AwareInstant
    updated_at: AwareInstant
    deleted_at: AwareInstant | None


class VectorStoreCreate(CreateSchema):
    """A vector store that the provider has made or is to make."""

    openai_id: Str64
    """``pending:<id>`` until the provider has made the store."""
    tenant_id: UuidRef
    owner_user_id: UuidRef | None = None
    name: Name128
    description: LongText | None = None
    status: Str16 = VectorStoreStatus.CREATING
    usage_bytes: Int = 0
    expires_after: JsonDict | None = None
    expires_at: AwareInstant | None = None
    last_active_at: AwareInstant | None = None
    metadata_json: JsonDict = Field(default_factory=dict)


class VectorStoreFileRead(ReadSchema):
    """A file attached to a vector store."""

    id: UuidRef
    openai_file_id: Str64
    vector_store_id: UuidRef
    filename: Str256
    mime_type: Str128 | None
    size_bytes: Int | None
    usage_bytes: Int
    """While it is 0, ``size_bytes`` counts."""
    status: Str16
    attributes_json: JsonDict
    chunking_json: JsonDict | None
    last_error: LongText | None
    created_at: AwareInstant
    updated_at: AwareInstant
    deleted_at: AwareInstant | None


class VectorStoreFileCreate(CreateSchema):
    """A file to be attached to a vector store."""

    openai_file_id: Str64
    vector_store_id: UuidRef
    filename: Str256
    mime_type: Str128 | None = None
    size_bytes: Int | None = None
    usage_bytes: Int = 0
    status: Str16 = VectorStoreFileStatus.INDEXING
    attributes_json: JsonDict = Field(default_factory=dict)
    chunking_json: JsonDict | None = None
    last_error: LongText | None = None


class AgentVectorStoreRead(ReadSchema):
    """The vector store that a tenant's agent searches."""

    agent_key: Str64
    vector_store_id: UuidRef
    tenant_id: UuidRef


class AgentVectorStoreCreate(CreateSchema):
    """The vector store that an agent is to search."""

    agent_key: Str64
    vector_store_id: UuidRef
    tenant_id: UuidRef
