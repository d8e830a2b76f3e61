"""What an agent of a tenant uses: one thing of a kind for each agent."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from sqlalchemy import delete, select

from agentdb.orm import Base
from agentdb.repository.reads import K, M
from agentdb.repository.writes import Repository

T = TypeVar("T", bound=Base)


class BindingRepository(Repository[M, K], Generic[M, K, T]):
    """Rows that tie an agent to a thing of its tenant, which is hidden when it is deleted.

    Attributes:
        things: The repository of the things.
        reference: The column that names the thing.
    """

    things: ClassVar[type[Repository[Any, UUID]]]
    reference: ClassVar[str]

    async def unbind(self, agent_key: str, *, tenant_id: UUID | None = None) -> bool:
        """Let an agent use none; False if it had none."""
        binding: Any = self.model
        tenant = self.unit.scope.owner(tenant_id)
        bound = delete(binding).where(binding.tenant_id == tenant, binding.agent_key == agent_key)
        return (await self.unit.execute(bound.returning(binding.agent_key))).first() is not None

    async def by_agent(self, agent_key: str, *, tenant_id: UUID | None = None) -> T | None:
        """Return the live one that an agent uses, if any."""
        binding: Any = self.model
        bound = self._bound(self.unit.scope.owner(tenant_id)).where(binding.agent_key == agent_key)
        row: Any = (await self.unit.execute(bound)).one_or_none()
        return None if row is None else row[1]

    async def bindings(self, *, tenant_id: UUID | None = None) -> dict[str, T]:
        """Return the live ones that the tenant's agents use, by the key of the agent."""
        bound = self._bound(self.unit.scope.owner(tenant_id))
        rows: Any = (await self.unit.execute(bound)).all()
        return dict(rows)

    async def _bind(self, agent_key: str, key: UUID, tenant_id: UUID | None) -> M:
        """Tie an agent to a live thing, which is locked so that it is not deleted meanwhile."""
        tenant = self.unit.scope.owner(tenant_id)
        await self.things(self.unit).require(key, lock=True)
        values = {"agent_key": agent_key, self.reference: key, "tenant_id": tenant}
        row, _ = await self.upsert(values, ["tenant_id", "agent_key"], update=[self.reference])
        return row

    def _bound(self, tenant: UUID) -> Any:
        """Select the agents of a tenant with their live things."""
        binding: Any = self.model
        thing: Any = self.things(self.unit).model
        return (
            select(binding.agent_key, thing)
            .join(thing, thing.id == getattr(binding, self.reference))
            .where(binding.tenant_id == tenant, thing.deleted_at.is_(None))
            .order_by(binding.agent_key)
            .execution_options(populate_existing=True)
        )
