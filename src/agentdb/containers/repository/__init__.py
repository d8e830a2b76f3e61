"""Code containers of a tenant, and the agents bound to them."""

from agentdb.containers.repository.bindings import AgentContainerRepository
from agentdb.containers.repository.containers import ContainerRepository

__all__ = [
    "AgentContainerRepository",
    "ContainerRepository",
]
