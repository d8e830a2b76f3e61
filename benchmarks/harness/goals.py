"""Goals of a workload, each judged by the comparison that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.harness.cases import Comparison
from benchmarks.harness.show import figure

Measure = Literal["rate", "cpu", "extra"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What one case should reach against another.

    Attributes:
        comparison: Title of the comparison.
        against: The other case.
        bound: The ratio to reach, or not to pass.
        case: The case that has the goal.
        measure: Operations a second, at least the bound; or what is at most the bound: client CPU
            for each, or the extra milliseconds of each.
    """

    comparison: str
    against: str
    bound: float
    case: str = "agentdb"
    measure: Measure = "rate"

    def found(self, comparison: Comparison) -> float | None:
        """Return what was reached; None where one of the cases did not run."""
        if not {self.case, self.against} <= comparison.turns.keys():
            return None
        if self.measure == "cpu":
            return comparison.cpu_ratio(self.case, self.against)
        if self.measure == "extra":
            return comparison.difference(self.case, self.against)
        return comparison.ratio(self.case, self.against).median

    def met(self, found: float) -> bool:
        """Return whether that is enough."""
        return found >= self.bound if self.measure == "rate" else found <= self.bound

    def text(self) -> str:
        """Return the bound in words."""
        if self.measure == "rate":
            return f"at least {figure(self.bound)} times the rate"
        if self.measure == "cpu":
            return f"at most {figure(self.bound)} times the client CPU"
        return f"at most {self.bound:,.0f} ms more"

    def show(self, found: float) -> str:
        """Return what was reached in words."""
        return f"{found:,.1f} ms" if self.measure == "extra" else figure(found)
