"""The catalogue of plans."""

from __future__ import annotations

from uuid import UUID

from agentdb.billing.models import (
    BillingPlan,
)
from agentdb.repository import Repository


class BillingPlanRepository(Repository[BillingPlan, UUID]):
    """The catalogue of plans."""

    model = BillingPlan

    async def by_code(self, code: str) -> BillingPlan | None:
        """Return the plan with this code, if any."""
        return await self._by(BillingPlan.code, code)
