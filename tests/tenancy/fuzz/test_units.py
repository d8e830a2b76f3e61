"""Random units of a tenant beside others do and show what they would if it were alone.

A finding tells the seed of its unit; ``AGENTDB_FUZZ_SEED=<seed>`` makes these tests run that unit.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.sizes import Size
from tests.tenancy.fuzz.arena import Arena
from tests.tenancy.fuzz.mixes import FILTERED, POLICED
from tests.tenancy.fuzz.units import Plan, Report, fuzz, run_unit

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(36_000),
    pytest.mark.filterwarnings("ignore:.* statement has a cartesian product"),
]
Record = Callable[[str, object], None]

REFUSED = {"give_away", "forbidden", "rewritten", "reloaded", "insert", "closed"}
"""Kinds of steps that nobody may succeed with."""


async def run(arena: Arena, plan: Plan, statements: int) -> Report:
    """Run random units, or the one that is asked for."""
    seed = os.environ.get("AGENTDB_FUZZ_SEED")
    if seed is None:
        return await fuzz(arena, plan, "suite", statements)
    report = Report()
    await run_unit(arena, plan, seed, report)
    return report


def unanswered(plan: Plan, report: Report) -> list[str]:
    """Return the kinds of steps that never succeeded, and so have shown nothing."""
    kinds = {kind.__name__ for kind in plan.kinds}
    return sorted(kind for kind in kinds - REFUSED if not report.answered[kind])


async def test_no_random_unit_reaches_another_tenant(
    arena: Arena, size: Size, record_property: Record
) -> None:
    """Neither statements of mapped classes nor objects nor verbs pass the filter and the guard."""
    report = await run(arena, FILTERED, size(2_000, full=1_000_000))
    record_property("statements", report.statements)

    assert report.findings == []
    assert report.statements < 100 or unanswered(FILTERED, report) == []


@pytest.mark.agentdb_only("postgres")
async def test_no_random_unit_under_policies_reaches_another_tenant(
    arena: Arena, size: Size, record_property: Record
) -> None:
    """Nor does SQL as text that names no tenant at all pass row-level security."""
    report = await run(arena, POLICED, size(2_000, full=1_000_000))
    record_property("statements", report.statements)

    assert report.findings == []
    assert report.statements < 100 or unanswered(POLICED, report) == []
