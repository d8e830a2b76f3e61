"""The revisions that this release has, read from their files without Alembic.

Importing Alembic takes half a second, which a replica with nothing to do should not pay at each
start.
"""

from __future__ import annotations

import re
from ast import literal_eval
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from agentdb.errors import SchemaVersionError

Phase = Literal["expand", "contract"]

BASE = "base"
HEAD = "head"

_FACT = re.compile(r"^(revision|down_revision|phase|release|atomic)\b[^=\n]*= (.+)$", re.MULTILINE)
_RELEASE = re.compile(r"v?(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema.

    Attributes:
        revision: Its number.
        down_revision: The step before it; None for the first.
        description: What it makes.
        phase: ``expand`` for one that the release before it can work with, ``contract`` for one
            that takes away what that release uses.
        release: The version of the package that brought it.
        atomic: Whether it is one transaction with its neighbours; an index that is built
            concurrently cannot be.
    """

    revision: str
    down_revision: str | None
    description: str
    phase: Phase = "expand"
    release: str = ""
    atomic: bool = True


def script_location() -> Path:
    """Return the folder of the migrations: in the package, or beside it in a checkout."""
    with resources.as_file(resources.files("agentdb")) as package:
        shipped = package / "migrations"
        return shipped if shipped.is_dir() else package.parents[1] / "migrations"


def history() -> list[Revision]:
    """Return all revisions, oldest first."""
    return list(_history(script_location()))


def heads() -> list[str]:
    """Return the newest revisions that this release has: one, while the history is linear."""
    return [history()[-1].revision]


def resolve(name: str) -> str | None:
    """Return the revision that *name* means; None for ``base``.

    Args:
        name: A revision, ``head``, ``base``, or a version of the package, which means the newest
            revision that it had.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    steps = history()
    if name in {HEAD, BASE}:
        return steps[-1].revision if name == HEAD else None
    if name in {step.revision for step in steps}:
        return name
    if version := _RELEASE.fullmatch(name):
        had = [s.revision for s in steps if _ordered(s.release) <= _ordered(version[1])]
        if had:
            return had[-1]
    raise SchemaVersionError(f"there is no revision {name[:64]!r}, nor a release of that name")


def between(older: str | None, newer: str | None) -> list[Revision]:
    """Return the revisions above *older* up to *newer*, oldest first; None is before all."""
    steps = history()
    names = [None, *(step.revision for step in steps)]
    return steps[names.index(older) : names.index(newer)]


@cache
def _history(folder: Path) -> tuple[Revision, ...]:
    steps = {step.down_revision: step for step in map(_read, (folder / "versions").glob("*.py"))}
    line: list[Revision] = []
    while following := steps.pop(line[-1].revision if line else None, None):
        line.append(following)
    if steps or not line:
        raise SchemaVersionError("the migrations of this installation are not one line")
    return tuple(line)


def _read(file: Path) -> Revision:
    text = file.read_text(encoding="utf-8")
    facts = {name: literal_eval(value) for name, value in _FACT.findall(text)}
    description = text.lstrip('"').partition("\n")[0].rstrip('".')
    return Revision(description=description, **facts)


def _ordered(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    return tuple((numbers + [0] * 4)[:4])
