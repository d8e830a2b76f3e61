"""Barriers taken away one by one, each for one table: what the fuzzer has to notice."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from tests.tenancy.fuzz.arena import Arena
from tests.tenancy.fuzz.units import Plan, Report, run_unit

UNITS = 60
"""Units after which a mutant of one table has survived."""


class Changes(ExitStack):
    """Changes of the code, undone when the block ends."""

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        self.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)


@dataclass(frozen=True)
class Mutant:
    """The code or the database without a barrier.

    Attributes:
        name: What is missing, and for which table.
        plan: The units that are to notice it, with the barrier in place.
        patch: Takes a barrier of the code away.
        sql: Takes a barrier of the database away, in the transaction of a unit.
        units: After how many units it has survived.
    """

    name: str
    plan: Plan
    patch: Callable[[Changes], None] | None = None
    sql: Sequence[str] = ()
    units: int = UNITS

    @property
    def broken(self) -> Plan:
        """The same units without the barrier."""
        return replace(self.plan, prelude=(*self.plan.prelude, *self.sql))

    def applied(self) -> AbstractContextManager[None]:
        """Return a block in which the barrier of the code is missing."""
        return nullcontext() if self.patch is None else _patched(self.patch)


@contextmanager
def _patched(patch: Callable[[Changes], None]) -> Generator[None]:
    with Changes() as changes:
        patch(changes)
        yield


async def is_killed(arena: Arena, mutant: Mutant) -> bool:
    """Tell whether the fuzzer notices that a barrier is missing.

    The unit that notices it has to pass when the barrier is back.

    Raises:
        AssertionError: It fails then, too.
    """
    for number in range(mutant.units):
        seed, report = f"{mutant.name}/{number}", Report()
        # What was compiled with the barrier has it, and what was compiled without it has not.
        arena.shared.clear_compiled_cache()
        with mutant.applied():
            await run_unit(arena, mutant.broken, seed, report)
        arena.shared.clear_compiled_cache()
        if report.findings:
            sound = Report()
            await run_unit(arena, mutant.plan, seed, sound)
            if sound.findings:
                raise AssertionError("\n".join([mutant.name, *sound.findings]))
            return True
    return False


async def survivors(arena: Arena, mutants: Sequence[Mutant]) -> list[str]:
    """Return the names of the mutants that nobody notices."""
    return [mutant.name for mutant in mutants if not await is_killed(arena, mutant)]
