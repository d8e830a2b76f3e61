"""The hint that a run is ready to be claimed."""

from __future__ import annotations

from agentdb.hints import hint_after_commit
from agentdb.unit import Unit

READY = "runs"
"""The topic that workers wait for."""


def hint_ready(unit: Unit) -> None:
    """Give a hint that a run is ready, when the unit has committed."""
    hint_after_commit(unit, READY)
