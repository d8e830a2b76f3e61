"""Finding an instant at which a subscription has no use of a feature yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from agentdb.billing.models import SubscriptionUsage
from agentdb.tenancy.predicates import table_of
from agentdb.unit import TICK, Unit

PROBES = 64
"""Instants that one statement looks at, each by the unique key."""

_USAGE = table_of(SubscriptionUsage)


async def free_instant(
    unit: Unit, subscription_id: UUID, feature_key: str, taken: datetime
) -> datetime:
    """Return a free microsecond behind a *taken* one.

    It is the next free one if that is within 64 microseconds. Behind a longer run of taken ones the
    end of the run is found by doubling and then narrowing the distance, so that the cost grows with
    the logarithm of the length; a gap in the run may be passed over.
    """
    search = _Search(unit, subscription_id, feature_key, taken)
    near = await search.first_free(range(1, PROBES + 1))
    return taken + (near or await search.end_of_run()) * TICK


@dataclass(frozen=True, slots=True)
class _Search:
    unit: Unit
    subscription_id: UUID
    feature_key: str
    taken: datetime

    async def first_free(self, distances: Sequence[int]) -> int | None:
        """Return the first of some distances in microseconds at which nothing is."""
        instants = [self.taken + distance * TICK for distance in distances]
        query = select(_USAGE.c.period_start).where(
            _USAGE.c.subscription_id == self.subscription_id,
            _USAGE.c.feature_key == self.feature_key,
            _USAGE.c.period_start.in_(instants),
        )
        used = set((await self.unit.execute(query)).scalars())
        pairs = zip(distances, instants, strict=True)
        return next((distance for distance, instant in pairs if instant not in used), None)

    async def end_of_run(self) -> int:
        """Return the distance of a free instant whose predecessor is taken."""
        low, high = await self._bracket()
        while high - low > 1:
            step = -(-(high - low) // PROBES)
            points = range(low + step, high, step)
            free = await self.first_free(points)
            low, high = (points[-1], high) if free is None else (free - step, free)
        return high

    async def _bracket(self) -> tuple[int, int]:
        """Return a distance that is taken and the double of it, which is free."""
        low = PROBES
        while True:
            doubled = [low << times for times in range(1, 16)]
            free = await self.first_free(doubled)
            if free is not None:
                return free // 2, free
            low = doubled[-1]
