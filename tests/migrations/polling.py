"""Waiting for what another process does."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds."""


def eventually(look: Callable[[], T]) -> T:
    """Look again and again until there is something to see, and return it."""
    deadline = monotonic() + PATIENCE
    while not (seen := look()):
        assert monotonic() < deadline, f"still {seen!r} after {PATIENCE:.0f} s"
        sleep(0.01)
    return seen
