"""What agents work with: containers, and vector stores with their files."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from typing_extensions import Unpack

from agentdb.checks import check_fields
from agentdb.containers.models import AgentContainer
from agentdb.errors import InvalidValueError
from agentdb.unit_of_work import UnitOfWork
from agentdb.vector_stores.models import AgentVectorStore, VectorStoreFile
from agentdb.vector_stores.rows import FileFields


class Bound(NamedTuple):
    """What an agent was bound to; None where nothing was named."""

    container: AgentContainer | None
    vector_store: AgentVectorStore | None


async def bind_agent(
    uow: UnitOfWork,
    agent_key: str,
    *,
    container_id: UUID | None = None,
    vector_store_id: UUID | None = None,
    tenant_id: UUID | None = None,
) -> Bound:
    """Let an agent use a container and a vector store, instead of those before; both or neither.

    What is not named stays as it is. N concurrent calls all succeed and leave one binding of each
    kind.

    Args:
        uow: A unit of work.
        agent_key: The agent, up to 64 characters.
        container_id: A live container of the tenant.
        vector_store_id: A live vector store of the tenant.
        tenant_id: The tenant, in a system unit.

    Raises:
        NotFoundError: The tenant has no such container or store, or it is deleted.
        InvalidValueError: Neither is named, or the key is refused.
    """
    if container_id is None and vector_store_id is None:
        raise InvalidValueError("an agent is bound to a container, to a vector store, or to both")
    container = store = None
    async with uow.savepoint():
        if container_id is not None:
            container = await uow.agent_containers.bind(
                agent_key, container_id, tenant_id=tenant_id
            )
        if vector_store_id is not None:
            store = await uow.agent_vector_stores.bind(
                agent_key, vector_store_id, tenant_id=tenant_id
            )
    return Bound(container, store)


async def attach_file(
    uow: UnitOfWork,
    vector_store_id: UUID,
    openai_file_id: str,
    filename: str,
    *,
    max_files: int | None = None,
    max_bytes: int | None = None,
    **fields: Unpack[FileFields],
) -> tuple[VectorStoreFile, bool]:
    """Attach a file to a vector store, as `VectorStoreFileRepository.attach` does."""
    check_fields(fields, FileFields)
    return await uow.vector_store_files.attach(
        vector_store_id,
        openai_file_id,
        filename,
        max_files=max_files,
        max_bytes=max_bytes,
        **fields,
    )


async def detach_file(
    uow: UnitOfWork, vector_store_id: UUID, openai_file_id: str, *, now: datetime | None = None
) -> bool:
    """Take a file from a vector store, as `VectorStoreFileRepository.detach` does."""
    return await uow.vector_store_files.detach(vector_store_id, openai_file_id, now=now)
