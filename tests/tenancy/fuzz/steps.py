"""The steps of a unit: what they do, and how their outcome is judged."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import InvalidRequestError

from agentdb.errors import (
    AgentDBError,
    DuplicateError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from tests.tenancy.fuzz.contents import Scrubber
from tests.tenancy.fuzz.sides import FAILURES, Call, Outcome, Side, outcome_of

REFUSALS = (PermissionDeniedError, TenantMismatchError, TenantRequiredError, NotFoundError)


@dataclass(frozen=True)
class Step:
    """One thing that a unit does.

    Attributes:
        name: What it is, to be read by who looks for the mistake.
        call: Does it.
        table: The table that it is about, where it is about one.
        writes: Whether it may change what is stored.
        answered: Whether a refusal is a mistake.
        refused: Whether anything but a refusal is one; it is run on the shared side alone.
        undone: Whether it is undone at once, to a savepoint.
        by_unit: Whether it is for the unit, which is confined on both sides.
        typed: Whether an error that is none of ours is a mistake.
    """

    name: object
    call: Call
    table: str = ""
    writes: bool = False
    answered: bool = False
    refused: bool = False
    undone: bool = False
    by_unit: bool = False
    typed: bool = False

    async def on(self, side: Side, *, keep: bool = True) -> Outcome:
        """Do it, on the session that it is for, and undo it unless it is to be kept."""
        session = (side.unit if self.by_unit else side).session
        return await outcome_of(self.call, side, session, keep=keep and not self.undone)


def mistake(step: Step, found: Outcome, alone: Outcome | None, scrub: Scrubber) -> str | None:
    """Return what is wrong with the outcome of a step, None if it is as it has to be.

    Args:
        step: The step.
        found: Its outcome beside other tenants.
        alone: Its outcome without them; None for what has to be refused.
        scrub: Takes from a text what differs each time.
    """
    error = found.error
    if error is not None and not isinstance(error, AgentDBError if step.typed else FAILURES):
        return f"raised {type(error).__name__}: {error}"
    if alone is None:
        refused = isinstance(error, (*REFUSALS, InvalidRequestError))
        return None if refused else f"was not refused: {found}"
    if error is None:
        return None if _is_same(found, alone, scrub) else f"found {found} instead of {alone}"
    # A key that is unique for all tenants is taken; that much is documented.
    tolerated = (DuplicateError, *(() if step.answered else REFUSALS))
    fails = alone.error is not None or isinstance(error, tolerated)
    return None if fails else f"raised {error!r} instead of {alone}"


def _is_same(found: Outcome, alone: Outcome, scrub: Scrubber) -> bool:
    return alone.error is None and _sorted(found.told, scrub) == _sorted(alone.told, scrub)


def _sorted(told: list[str], scrub: Scrubber) -> list[str]:
    """Return texts in an order that does not depend on the database, nor on new keys."""
    return sorted("\n".join(sorted(scrub(text).splitlines())) for text in told)
