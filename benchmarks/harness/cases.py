"""What is measured: cases of one workload, and the turns that they have taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

Role = Literal["baseline", "agentdb", "peer"]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to do the work.

    Attributes:
        name: What it is called in the tables.
        run: Does the work of one turn and returns how many operations that were.
        role: The raw driver, agentdb, or what one would use instead.
        prepare: Makes ready for a turn; its time does not count.
    """

    name: str
    run: Callable[[], Awaitable[int]]
    role: Role = "agentdb"
    prepare: Callable[[], Awaitable[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a case took.

    Attributes:
        operations: How many operations it did.
        seconds: By the clock on the wall.
        cpu: Seconds of this process and of children that have ended, all threads, user and system.
    """

    operations: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of client CPU for an operation."""
        return 1e6 * self.cpu / self.operations


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and what lies around it."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of some values."""
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Comparison:
    """Cases that took turns in one process; the first one is the baseline.

    Attributes:
        title: What was done.
        unit: What one operation is.
        turns: Turns of each case, by round.
        roles: What each case is.
    """

    title: str
    unit: str
    turns: dict[str, list[Turn]] = field(default_factory=dict[str, list[Turn]])
    roles: dict[str, Role] = field(default_factory=dict[str, Role])

    @property
    def baseline(self) -> str:
        """The name of the first case."""
        return next(iter(self.turns))

    def ratio(self, case: str, to: str | None = None) -> Spread:
        """Return how many times faster a case was than another one, round by round.

        Both had their turns in the same round, so that the noise of the machine fell on both.
        """
        pairs = zip(self.turns[case], self.turns[to or self.baseline], strict=True)
        return Spread.of([mine.rate / other.rate for mine, other in pairs])

    def cpu_ratio(self, case: str, to: str | None = None) -> float:
        """Return how much client CPU an operation took, against another case."""
        pairs = zip(self.turns[case], self.turns[to or self.baseline], strict=True)
        return median(mine.cost / max(other.cost, 1e-9) for mine, other in pairs)

    def difference(self, case: str, to: str) -> float:
        """Return how many milliseconds more an operation took than that of another case."""
        pairs = zip(self.turns[case], self.turns[to], strict=True)
        return median(1000 / mine.rate - 1000 / other.rate for mine, other in pairs)

    def rate(self, case: str) -> float:
        """Return the median of operations a second."""
        return median(turn.rate for turn in self.turns[case])

    def cost(self, case: str) -> float:
        """Return the median of microseconds of client CPU for an operation."""
        return median(turn.cost for turn in self.turns[case])
