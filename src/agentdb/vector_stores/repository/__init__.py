"""Vector stores, their files, and the agents bound to them."""

from agentdb.vector_stores.repository.bindings import AgentVectorStoreRepository
from agentdb.vector_stores.repository.files import VectorStoreFileRepository
from agentdb.vector_stores.repository.stores import VectorStoreRepository

__all__ = [
    "AgentVectorStoreRepository",
    "VectorStoreFileRepository",
    "VectorStoreRepository",
]
