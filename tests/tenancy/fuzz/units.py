"""Random units of work, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from tests.tenancy.fuzz.arena import Arena
from tests.tenancy.fuzz.contents import Contents, contents_of
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import MEMBERSHIPS, SHARED, TENANTS
from tests.tenancy.fuzz.sides import Confinement, Side, confined, free
from tests.tenancy.fuzz.steps import Step, mistake

Kind = Callable[[Draw], Step]


@dataclass(frozen=True)
class Plan:
    """How the units of a run are made.

    Attributes:
        kinds: What steps are drawn from, each as often as it stands there.
        policed: Whether row-level security binds the units.
        focus: The table that they are about; None for all.
        prelude: SQL that a role which nothing binds runs before each unit, for mutants.
        role: The role that the units take; None for that of the application.
    """

    kinds: Sequence[Kind]
    policed: bool = False
    focus: str | None = None
    prelude: Sequence[str] = ()
    role: str | None = None


@dataclass
class Report:
    """What a run has found.

    Attributes:
        statements: How many steps were run.
        answered: How many of them returned, by kind of step.
        findings: What is wrong, with the seed of the unit.
    """

    statements: int = 0
    answered: Counter[str] = field(default_factory=Counter[str])
    findings: list[str] = field(default_factory=list[str])


async def fuzz(arena: Arena, plan: Plan, seed: str, statements: int, *, most: int = 5) -> Report:
    """Run random units until there were so many statements, or *most* findings.

    The unit with a seed is always the same; the findings tell the seed, which `run_unit` takes.
    """
    report, number = Report(), 0
    while report.statements < statements and len(report.findings) < most:
        await run_unit(arena, plan, f"{seed}/{number}", report)
        number += 1
    return report


async def run_unit(arena: Arena, plan: Plan, seed: str, report: Report) -> None:
    """Run the unit with a seed beside other tenants and alone, and note what differs."""
    rng = Random(seed)  # noqa: S311 -- repeatable, not secret
    tenant = rng.choice(TENANTS)
    draw = Draw(rng, arena, tenant, plan.focus)
    kinds = [rng.choice(plan.kinds) for _ in range(rng.choice([1, 2, 3, 4]))]
    steps = [(kind, kind(draw)) for kind in kinds]
    role = (plan.role or arena.role) if plan.policed else None
    own = arena.population.tenants[tenant]
    how = Confinement(own, hosted=draw.chance(0.3), role=role, prelude=plan.prelude)
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(confined(arena.shared, how))
        alone = await stack.enter_async_context(free(arena.alone[tenant], own))
        for kind, step in steps:
            found = await step.on(there)
            keep = found.error is None
            expected = None if step.refused else await step.on(alone, keep=keep)
            report.statements += 1
            report.answered[kind.__name__] += keep
            if wrong := mistake(step, found, expected, arena.scrub):
                report.findings.append(f"seed {seed}, unit of {tenant}: {step.name}\n  {wrong}")
                return
            if step.writes and step.table == MEMBERSHIPS:
                break  # Whom the tenant sees from now on, it would not see if it were alone.
        if any(step.writes for _, step in steps):
            for wrong in await _changes(arena, tenant, there, alone, role):
                names = "; ".join(str(step.name) for _, step in steps)
                report.findings.append(f"seed {seed}, unit of {tenant}: {names}\n  {wrong}")
                return


async def _changes(
    arena: Arena, tenant: str, there: Side, alone: Side, role: str | None
) -> list[str]:
    """Return what was changed beside other tenants and would not have been without them."""
    connection = await there.connection()
    if role is not None:
        await connection.exec_driver_sql("RESET ROLE")
    after = await contents_of(connection)
    expected = await contents_of(await alone.connection())
    before, owned = arena.stored.content, arena.stored.owned[tenant]
    kept = {key for key in before if key not in owned or key[0] in SHARED}
    lost = [f"{key} became {after.get(key)}" for key in kept if after.get(key) != before[key]]
    made = _differing(after, expected, kept), _differing(expected, after, kept)
    found, wanted = (Counter(arena.scrub(text) for text in texts) for texts in made)
    if found != wanted:
        lost.append(f"stored {list(found - wanted)} instead of {list(wanted - found)}")
    return lost


def _differing(one: Contents, other: Contents, kept: set[tuple[str, str]]) -> list[str]:
    """Return the rows of *one* that *other* does not have, those of shared tables apart."""
    return [
        f"{key[0]} {text}"
        for key, text in one.items()
        if key not in kept and key[0] not in SHARED and other.get(key) != text
    ]
