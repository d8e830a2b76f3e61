"""How large a test is: what fits the minutes of CI, what the promise says, or between the two."""

from __future__ import annotations

from dataclasses import dataclass

OPTION = "--soak"
FIXTURE = "size"


@dataclass(frozen=True)
class Size:
    """Chooses between two sizes of a test, as ``--soak`` says.

    Attributes:
        share: How far it is from the one, 0, to the other, 1.
    """

    share: float

    @property
    def full(self) -> bool:
        """Whether the tests run at their full size."""
        return self.share >= 1

    def __call__(self, ci: int, *, full: int) -> int:
        """Return *ci*, *full* or, by equal factors for equal shares, a size between."""
        factor: float = (full / ci) ** self.share
        return round(ci * factor)
