"""The catalogue of plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import selectinload

from agentdb.billing.catalogue import WantedPlan, compare, features_of, wanted_plans
from agentdb.billing.models import BillingPlan, PlanFeature
from agentdb.billing.rows import CatalogueDiff, NewPlan
from agentdb.repository import Repository


class BillingPlanRepository(Repository[BillingPlan, UUID]):
    """The catalogue of plans."""

    model = BillingPlan

    async def by_code(self, code: str) -> BillingPlan | None:
        """Return the plan with this code, if any."""
        return await self._by(BillingPlan.code, code)

    async def active(self) -> list[BillingPlan]:
        """Return the plans that can be subscribed to, with their features.

        The cheapest first, then by code; features by key. Two statements, whatever their number.
        """
        query = self._select(BillingPlan.is_active == true()).options(
            selectinload(BillingPlan.features)
        )
        order = (BillingPlan.price_cents, BillingPlan.code)
        return list(await self._entities(query.order_by(*order)))

    async def sync_catalogue(
        self,
        plans: Sequence[NewPlan],
        *,
        deactivate_missing: bool = False,
        prune_features: bool = False,
        dry_run: bool = False,
    ) -> CatalogueDiff:
        """Bring the catalogue to what a host declares, in a system unit; all or nothing.

        Plans are known by their code, features by their key. N concurrent calls all succeed and
        leave one row for each; a repeated call changes nothing. Nothing is deleted but features,
        and those only on request: subscriptions refer to plans.

        Args:
            plans: The plans, each with all its columns and features.
            deactivate_missing: Deactivate active plans that are not in the list.
            prune_features: Delete features of a listed plan that are not listed with it.
            dry_run: Only tell what would change.

        Raises:
            InvalidValueError: A code or key comes twice, the currency is not three upper-case
                letters, a number is below its least, a soft limit above the hard one, or a column
                refuses its value; nothing is sent then.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        self.unit.check_writable(self.model)
        wanted = wanted_plans(plans)
        async with self.unit.savepoint():
            created = [] if dry_run else await self._add_missing(wanted)
            stored = await self._catalogue(lock=not dry_run)
            diff = compare(
                stored,
                wanted,
                created,
                deactivate_missing=deactivate_missing,
                prune_features=prune_features,
            )
            if diff and not dry_run:
                await self._apply(diff, stored, wanted)
                await self._catalogue(lock=False)  # what is loaded shows its features as they are
        return diff

    async def _add_missing(self, wanted: Mapping[str, WantedPlan]) -> list[str]:
        """Store the plans that are not there, and return their codes."""
        if not wanted:
            return []
        dialect = postgresql if self.unit.is_postgresql else sqlite
        insert = dialect.insert(BillingPlan).on_conflict_do_nothing(index_elements=["code"])
        rows = [plan.columns for plan in wanted.values()]
        made = await self.unit.session.scalars(insert.returning(BillingPlan.code), rows)
        return list(made)

    async def _catalogue(self, *, lock: bool) -> dict[str, BillingPlan]:
        """Return all plans with their features, by code."""
        query = self._select().options(selectinload(BillingPlan.features)).order_by(BillingPlan.id)
        if lock:
            query = query.with_for_update(key_share=True)
        return {plan.code: plan for plan in await self._entities(query)}

    async def _apply(
        self,
        diff: CatalogueDiff,
        stored: Mapping[str, BillingPlan],
        wanted: Mapping[str, WantedPlan],
    ) -> None:
        for code in diff.updated:
            _set(stored[code], wanted[code].columns)
        for code in diff.deactivated:
            stored[code].is_active = False
        session, rows = self.unit.session, features_of(stored)
        for code, key in diff.features_updated:
            _set(rows[code, key], wanted[code].features[key])
        for code, key in diff.features_created:
            session.add(PlanFeature(plan_id=stored[code].id, **wanted[code].features[key]))
        for place in diff.features_removed:
            await session.delete(rows[place])
        await session.flush()


def _set(row: BillingPlan | PlanFeature, columns: Mapping[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
