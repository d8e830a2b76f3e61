"""What `agentdb.doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CONNECTION = "connection"
"""The finding that tells whether the database answered."""


class Status(StrEnum):
    """How a finding is to be taken; the later, the worse."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: How it is to be taken.
        value: What was found. No host, user, password or URL, and no value of a row.
        advice: What to do; None where nothing has to be done.
    """

    name: str
    status: Status
    value: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found, in the order in which it was looked at."""

    findings: tuple[Finding, ...]

    @property
    def reachable(self) -> bool:
        """Whether the database answered."""
        return all(f.status is not Status.PROBLEM for f in self.findings if f.name == CONNECTION)

    @property
    def status(self) -> Status:
        """The worst among the findings."""
        order = list(Status)
        return max((finding.status for finding in self.findings), key=order.index)

    def as_dict(self) -> dict[str, object]:
        """Return the report as JSON takes it."""
        return {
            "status": str(self.status),
            "reachable": self.reachable,
            "findings": [
                {
                    "name": finding.name,
                    "status": str(finding.status),
                    "value": finding.value,
                    "advice": finding.advice,
                }
                for finding in self.findings
            ],
        }
