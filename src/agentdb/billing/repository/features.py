"""What plans include, and up to which limits."""

from __future__ import annotations

from uuid import UUID

from agentdb.billing.models import (
    PlanFeature,
)
from agentdb.paging import Page
from agentdb.repository import Repository


class PlanFeatureRepository(Repository[PlanFeature, int]):
    """What plans include, and up to which limits."""

    model = PlanFeature

    async def for_plan(
        self, plan_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PlanFeature]:
        """Return a page of the plan's features, newest first."""
        return await self._newest(PlanFeature.plan_id == plan_id, after=after, limit=limit)
