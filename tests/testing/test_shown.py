from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

from agentdb.database import Database
from agentdb.models import TenantAccount
from agentdb.testing.shown import collected, shown

SECRET = "hunter2"


@dataclass(slots=True)
class Slotted:
    """Has no ``__dict__``."""

    value: object


class Validated(BaseModel):
    """A pydantic model."""

    value: object


class Kind(Enum):
    """An enumeration."""

    ONE = SECRET


class Pair(NamedTuple):
    """A tuple with names."""

    one: int
    other: str


class Titled(list[int]):
    """A list with an attribute."""

    title = ""


def titled() -> Titled:
    """Return a list that says more than its items."""
    found = Titled([1])
    found.title = SECRET
    return found


def failed() -> Exception:
    """Return an error whose cause tells more than it does."""
    error = ValueError("no")
    error.__cause__ = LookupError(SECRET)
    return error


HOLDERS: dict[str, Any] = {
    "text": SECRET,
    "bytes": SECRET.encode(),
    "enumeration": Kind.ONE,
    "key of a mapping": {SECRET: 1},
    "value of a mapping": {1: {2: [SECRET]}},
    "set": {SECRET},
    "queue": deque([SECRET]),
    "named tuple": Pair(1, SECRET),
    "dataclass with slots": Slotted(SECRET),
    "pydantic model": Validated(value=SECRET),
    "object": SimpleNamespace(inner=SimpleNamespace(value=SECRET)),
    "model": TenantAccount(slug="s", name=SECRET),
    "attribute of a list": titled(),
    "cause": failed(),
    "group of errors": ExceptionGroup("no", [ValueError(SECRET)]),
    "instance of an error": ValueError(Slotted(SECRET)),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_what_is_held_is_shown(holder: object) -> None:
    """However deep it lies."""
    assert SECRET in shown([{"in": (holder,)}])


def test_plain_values_are_shown_as_text() -> None:
    """Each on a line of its own."""
    instant = datetime(2025, 1, 2, tzinfo=UTC)

    assert shown([1, None, True, UUID(int=7), instant]) == (
        f"1\nNone\nTrue\n{UUID(int=7)}\n{instant}"
    )


def test_circles_are_walked_once() -> None:
    """An object that holds itself has an end."""
    circle: list[object] = [1]
    circle.append({"again": circle})

    assert shown(circle) == "1\nagain"


def test_what_is_no_data_is_not_walked() -> None:
    """The engine of a database shows nothing, its password least of all."""
    assert SECRET not in shown(Database(f"postgresql://user:{SECRET}@host/name"))


async def test_streams_are_read_to_their_end() -> None:
    """Whether they are awaited, asynchronous or plain."""

    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    def plain() -> Iterator[int]:
        yield 1
        yield 2

    async def wrapped() -> AsyncIterator[int]:
        return stream()

    for result in (stream(), plain(), wrapped(), [1, 2]):
        assert await collected(result) == [1, 2]
