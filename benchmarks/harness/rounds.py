"""Turns: every case once in each round, in an order that rotates."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

from benchmarks.harness.cases import Case, Comparison, Turn
from benchmarks.harness.sampling import Samples


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended.

    A PostgreSQL server runs on by itself: its time is not in it.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


async def take_turns(
    title: str,
    unit: str,
    cases: Sequence[Case],
    rounds: int,
    *,
    warm: bool = True,
    samples: Samples | None = None,
) -> Comparison:
    """Run every case in each round and return what the turns took.

    With *warm*, each case runs once before the first round, so that connections, plans and caches
    are warm. What exists by then is out of the garbage collector's sight: no case pays for what
    another imported. Before a turn all garbage is collected; during it the collector works as in
    any program. With *samples*, the turns of agentdb are sampled, which slows them down.
    """
    comparison = Comparison(title, unit)
    for case in cases:
        comparison.turns[case.name] = []
        comparison.roles[case.name] = case.role
        if warm:
            await _turn(case)
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        first = number % len(cases)
        for case in (*cases[first:], *cases[:first]):
            with samples.taken() if samples and case.role == "agentdb" else nullcontext():
                comparison.turns[case.name].append(await _turn(case))
    gc.unfreeze()
    return comparison


async def _turn(case: Case) -> Turn:
    if case.prepare is not None:
        await case.prepare()
    return await timed(case.run)


async def timed(work: Callable[[], Awaitable[int]]) -> Turn:
    """Do some work and return what it took."""
    gc.collect()
    cpu, started = cpu_seconds(), time.perf_counter()
    operations = await work()
    seconds = time.perf_counter() - started
    return Turn(operations, seconds, cpu_seconds() - cpu)
