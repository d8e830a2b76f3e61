"""The SQL that closes the harmless differences, for review."""

from __future__ import annotations

from collections.abc import Iterable

from agentdb.adoption.facts import Survey
from agentdb.catalog import Difference, Kind

_HEAD = "-- What `agentdb adopt` compared: this changes no row. Indexes block writers while built."
# Tables before what refers to them, old names out of the way of new ones, columns before their
# indexes and keys; foreign keys need the unique keys that they refer to.
_ORDER = (
    {Kind.MISSING_TABLE, Kind.ENUM},
    {Kind.NAME},
    {Kind.MISSING_COLUMN, Kind.TYPE, Kind.NULLABILITY, Kind.DEFAULT, Kind.GENERATED},
    {Kind.MISSING_INDEX, Kind.INDEX},
)


def script(survey: Survey) -> str:
    """Return the statements that close the harmless differences; empty if there are none.

    Each is preceded by the difference that it closes. Run in one transaction they are all or none;
    rows that break a rule make theirs fail.
    """
    parts = [f"-- {difference}\n{difference.sql}\n" for difference in in_order(survey.differences)]
    return "\n".join([_HEAD, *parts]) if parts else ""


def in_order(differences: Iterable[Difference]) -> list[Difference]:
    """Return the harmless differences in an order in which they can be closed."""
    return sorted((d for d in differences if d.harmless), key=_rank)


def _rank(difference: Difference) -> tuple[int, bool]:
    rank = next((n for n, kinds in enumerate(_ORDER) if difference.kind in kinds), len(_ORDER))
    return rank, (difference.expected or "").startswith("FOREIGN KEY")
