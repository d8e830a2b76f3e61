"""One run of a workload: how large it is, what it has found, and which peers were not there."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from agentdb.testing import PostgresTemplate
from benchmarks.harness.cases import Case, Comparison
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.sampling import Samples
from benchmarks.harness.servers import Place, fresh_place, fresh_template
from benchmarks.harness.show import show

T = TypeVar("T")
P = ParamSpec("P")

_log = logging.getLogger(__name__)

ROUNDS = 5
QUICK_ROUNDS = 1


@dataclass(slots=True)
class Series:
    """Cost against size.

    Attributes:
        title: What was done.
        axis: What grows.
        points: Milliseconds of one operation by size, for each case.
    """

    title: str
    axis: str
    points: dict[str, dict[int, float]] = field(default_factory=dict[str, dict[int, float]])


@dataclass(slots=True)
class Bench:
    """One run of one workload.

    Attributes:
        quick: Only see that it runs: tiny sizes, one round.
        rounds: How many turns each case has.
        comparisons: What was found.
        series: The same, against size.
        absent: Peers that did not take part, and why.
        facts: What else is worth a line.
        server: The version of PostgreSQL, where it takes part.
        template: Where databases come from; None starts a server for the run.
        samples: Where samples of agentdb go, if they are taken.
    """

    quick: bool = False
    rounds: int = ROUNDS
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    series: list[Series] = field(default_factory=list[Series])
    absent: dict[str, str] = field(default_factory=dict[str, str])
    facts: list[str] = field(default_factory=list[str])
    server: str = ""
    template: PostgresTemplate | None = None
    samples: Samples | None = None
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.__aexit__(kind, error, trace)

    def size(self, full: int, quick: int) -> int:
        """Return how many of something this run has."""
        return quick if self.quick else full

    async def compare(
        self, title: str, cases: Sequence[Case], *, unit: str = "operation"
    ) -> Comparison:
        """Measure cases in turns, print the result and keep it."""
        found = await take_turns(
            title, unit, cases, self.rounds, warm=not self.quick, samples=self.samples
        )
        self.comparisons.append(found)
        show(found)
        return found

    async def open(self, name: str, peer: AbstractAsyncContextManager[T]) -> T | None:
        """Enter a peer until the run ends; None, and a word in the report, where it is not there.

        A peer that is there but does not work on this machine, or with these versions, is reported
        with its error; it does not stop the others.
        """
        try:
            return await self._opened.enter_async_context(peer)
        except ModuleNotFoundError as error:
            self.absent[name] = f"not installed: no module {error.name}"
        except Exception as error:  # noqa: BLE001 -- whatever a peer raises is its report
            _log.exception("%s does not work", name)
            self.absent[name] = f"does not work here: {type(error).__name__}: {error}"
        return None

    async def place(self) -> Place:
        """Return a fresh database until the run ends; all of a run are on one server."""
        if self.template is None:
            self.template = self._opened.enter_context(fresh_template())
        place = await self.keep(fresh_place(self.template))
        self.server = str(await place.ask("SHOW server_version"))
        return place

    async def keep(self, place: AbstractAsyncContextManager[T]) -> T:
        """Enter something of our own until the run ends."""
        return await self._opened.enter_async_context(place)


def peer_cases(
    name: str,
    peer: T | None,
    run: Callable[Concatenate[T, P], Awaitable[int]],
    *arguments: P.args,
    **options: P.kwargs,
) -> list[Case]:
    """Return the case of a peer that runs so, or none where the peer is absent."""
    return [] if peer is None else [Case(name, partial(run, peer, *arguments, **options), "peer")]
