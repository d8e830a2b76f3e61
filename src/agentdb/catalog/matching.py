"""Which rule of a database is which of the models, by name and, failing that, by what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_CONSTRAINT, _INDEX = "UNIQUE (", "UNIQUE INDEX ("


@dataclass(slots=True)
class Matches:
    """Rules of one kind of a table that are not equal by name and text.

    Attributes:
        changed: Names whose texts differ.
        renamed: Names of the models, and under which name the database has the same.
        replaced: Names of the models, and the name of what the database has in its place.
        missing: Names that the database lacks.
        extra: Names that the models lack.
    """

    changed: list[str] = field(default_factory=list[str])
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    replaced: dict[str, str] = field(default_factory=dict[str, str])
    missing: list[str] = field(default_factory=list[str])
    extra: list[str] = field(default_factory=list[str])


def match(wanted: Mapping[str, str], there: Mapping[str, str]) -> Matches:
    """Return which rules differ."""
    found = Matches(
        changed=[name for name, rule in wanted.items() if there.get(name, rule) != rule],
        missing=[name for name in wanted if name not in there],
        extra=sorted(name for name in there if name not in wanted),
    )
    _pair(found, wanted, there, found.renamed, lambda rule: rule)
    _pair(found, wanted, there, found.replaced, _referring)
    return found


def exchange(
    missing: Matches, extra: Matches, wanted: Mapping[str, str], there: Mapping[str, str]
) -> dict[str, str]:
    """Take out what is unique by a constraint on one side and by an index on the other.

    Returns:
        Names of the models, and the name of what does the same in the database.
    """
    found: dict[str, str] = {}
    for name in tuple(missing.missing):
        twin = next((e for e in extra.extra if _other(wanted[name]) == there[e]), None)
        if twin is not None:
            found[name] = twin
            missing.missing.remove(name)
            extra.extra.remove(twin)
    return found


def _pair(
    found: Matches,
    wanted: Mapping[str, str],
    there: Mapping[str, str],
    pairs: dict[str, str],
    what: Callable[[str], str | None],
) -> None:
    for name in tuple(found.missing):
        sought = what(wanted[name])
        twin = next((e for e in found.extra if sought and what(there[e]) == sought), None)
        if twin is not None:
            pairs[name] = twin
            found.missing.remove(name)
            found.extra.remove(twin)


def _referring(rule: str) -> str | None:
    """Return the columns of a foreign key: two on the same columns stand for each other."""
    columns, refers, _ = rule.partition(" REFERENCES ")
    return columns if refers else None


def _other(rule: str) -> str | None:
    """Return the index that does what a unique constraint does, and the reverse."""
    if rule.startswith(_CONSTRAINT):
        return rule.replace(_CONSTRAINT, _INDEX, 1)
    if rule.startswith(_INDEX):
        return rule.replace(_INDEX, _CONSTRAINT, 1)
    return None
