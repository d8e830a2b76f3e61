"""Reports of maintenance verbs, for tests."""

from __future__ import annotations

from agentdb.maintenance import Report


def found(report: Report) -> dict[str, int]:
    """Return the counts of what was found, of a run that came to the end."""
    assert report.done
    return {name: count for name, count in report.counts.items() if count}
