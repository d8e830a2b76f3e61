"""Hints that something was committed: who waits for it looks at once, and polls as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine

from agentdb.hints.local import Hints, hint_after_commit, hints_of, share_hints
from agentdb.settings import Settings

if TYPE_CHECKING:
    from agentdb.hints.postgresql import Notifier

__all__ = ["Hints", "carry_hints", "hint_after_commit", "hints_of", "share_hints"]


def carry_hints(engine: Engine, url: URL, settings: Settings) -> Notifier | None:
    """Carry the hints of *engine* between processes, where the settings ask for it."""
    if not settings.notify or url.get_backend_name() != "postgresql":
        return None
    from agentdb.hints.postgresql import Notifier  # noqa: PLC0415 -- needs the driver

    return Notifier(url, hints_of(engine), settings)
