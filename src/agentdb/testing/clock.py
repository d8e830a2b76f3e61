"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta

from agentdb.errors import NaiveDatetimeError
from agentdb.types import utc_now


class FrozenClock:
    """A clock for ``Database(…, clock=…)`` and ``UnitOfWork(…, clock=…)``.

    Everything that reads the clock of a unit of work then sees its instant: expiries, leases,
    stamps. Defaults of columns are read from the clock of the database, which runs on.
    """

    def __init__(self, at: datetime | None = None) -> None:
        """Stop the clock.

        Args:
            at: The instant it shows; None for the present one.

        Raises:
            NaiveDatetimeError: *at* has no time zone.
        """
        self._at = _aware(at or utc_now())

    def __call__(self) -> datetime:
        """Return the instant that it shows."""
        return self._at

    def advance(self, by: timedelta) -> datetime:
        """Move it on, or back where *by* is negative, and return what it shows then."""
        self._at += by
        return self._at

    def move_to(self, at: datetime) -> None:
        """Set it.

        Raises:
            NaiveDatetimeError: *at* has no time zone.
        """
        self._at = _aware(at)


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise NaiveDatetimeError("a clock shows an instant with a time zone")
    return at
