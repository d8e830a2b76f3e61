"""Schemas of code containers and the agents bound to them."""

from pydantic import Field

from agentdb.columns import JsonDict, Str8, Str32, Str64, Str128, UuidRef
from agentdb.containers.values import ContainerMemoryLimit, ContainerStatus
from agentdb.schema import AwareInstant, CreateSchema, Name128, ReadSchema


class ContainerRead(ReadSchema):
    """A code container at the provider."""

    id: UuidRef
    openai_id: Str64
    tenant_id: UuidRef
    owner_user_id: UuidRef | None
    name: Str128
    memory_limit: Str8
    status: Str32
    expires_after: JsonDict | None
    """The provider's policy: anchor and minutes."""
    last_active_at: AwareInstant | None
    metadata_json: JsonDict
    created_at: AwareInstant
    updated_at: AwareInstant
    deleted_at: AwareInstant | None


class ContainerCreate(CreateSchema):
    """A code container that the provider has made."""

    openai_id: Str64
    tenant_id: UuidRef
    owner_user_id: UuidRef | None = None
    name: Name128
    memory_limit: ContainerMemoryLimit = ContainerMemoryLimit.GB_1
    status: Str32 = ContainerStatus.RUNNING
    expires_after: JsonDict | None = None
    last_active_at: AwareInstant | None = None
    metadata_json: JsonDict = Field(default_factory=dict)


class AgentContainerRead(ReadSchema):
    """The container that a tenant's agent uses."""

    agent_key: Str64
    container_id: UuidRef
    tenant_id: UuidRef


class AgentContainerCreate(CreateSchema):
    """The container that an agent is to use."""

    agent_key: Str64
    container_id: UuidRef
    tenant_id: UuidRef
