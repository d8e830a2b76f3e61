"""How large a test is: what fits the minutes of CI, or what the promise says."""

from __future__ import annotations

from dataclasses import dataclass

OPTION = "--soak"
FIXTURE = "size"


@dataclass(frozen=True)
class Size:
    """Chooses between two sizes of a test, as ``--soak`` says.

    Attributes:
        full: Whether the tests run at their full size.
    """

    full: bool

    def __call__(self, ci: int, *, full: int) -> int:
        """Return *full* under ``--soak``, else *ci*."""
        return full if self.full else ci
