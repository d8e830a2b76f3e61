"""What plans include, and up to which limits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from typing_extensions import Unpack

from agentdb.billing.checks import check_columns, check_limits
from agentdb.billing.models import BillingPlan, PlanFeature, TenantSubscription
from agentdb.billing.rows import FeatureFields, Limit
from agentdb.billing.statements import current_subscription
from agentdb.canonical import check_name
from agentdb.checks import check_fields
from agentdb.errors import NotFoundError
from agentdb.paging import Page
from agentdb.repository import Repository


class PlanFeatureRepository(Repository[PlanFeature, int]):
    """What plans include, and up to which limits."""

    model = PlanFeature

    async def put(
        self, plan_id: UUID, feature_key: str, **fields: Unpack[FeatureFields]
    ) -> PlanFeature:
        """Give a plan a feature, or change it, in a system unit; race-safe, under the plan's lock.

        Args:
            plan_id: The plan.
            feature_key: The feature.
            fields: What to set; the other columns of a present row stay as they are.

        Raises:
            NotFoundError: There is no such plan.
            InvalidValueError: A limit is below 0, the soft one is then above the hard one, or a
                column refuses its value.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        check_fields(fields, FeatureFields)
        self.unit.check_writable(self.model)
        values: dict[str, Any] = {**fields}
        if values.get("display_name") is not None:
            values["display_name"] = check_name(values["display_name"])
        check_columns(PlanFeature, {"feature_key": feature_key, **values})
        plan = select(BillingPlan.id).where(BillingPlan.id == plan_id)
        if (await self.unit.execute(plan.with_for_update(key_share=True))).first() is None:
            raise NotFoundError("no such row of billing_plans")
        key = {"plan_id": plan_id, "feature_key": feature_key}
        present = await self.find(
            PlanFeature.plan_id == plan_id, PlanFeature.feature_key == feature_key
        )
        soft, hard = (
            values.get(name, getattr(present, name, None)) for name in ("soft_limit", "hard_limit")
        )
        check_limits(soft, hard)
        row, _ = await self.upsert({**key, **values}, list(key), update=list(values))
        return row

    async def limit(self, feature_key: str, *, tenant_id: UUID | None = None) -> Limit | None:
        """Return how much of a feature the tenant's current subscription includes.

        One statement.

        Args:
            feature_key: The feature.
            tenant_id: The tenant, in a system unit.

        Returns:
            The limits; None where no subscription is current or its plan lacks the feature.
        """
        tenant = self.unit.scope.owner(tenant_id)
        current = current_subscription(tenant, TenantSubscription.plan_id).subquery()
        query = select(PlanFeature.soft_limit, PlanFeature.hard_limit, PlanFeature.is_metered)
        query = query.join(current, PlanFeature.plan_id == current.c.plan_id)
        found = await self.unit.execute(query.where(PlanFeature.feature_key == feature_key))
        row = found.one_or_none()
        if row is None:
            return None
        return Limit(feature_key, row.soft_limit, row.hard_limit, row.is_metered)

    async def for_plan(
        self, plan_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[PlanFeature]:
        """Return a page of the plan's features, newest first."""
        return await self._newest(PlanFeature.plan_id == plan_id, after=after, limit=limit)
