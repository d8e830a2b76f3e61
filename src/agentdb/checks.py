"""Arguments of verbs: what they have to be, before any SQL is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from agentdb.errors import InvalidValueError

T = TypeVar("T")

LONGEST = timedelta(days=36_525)
"""A century: any instant that is stored can be moved by it."""

MOST = 2**63 - 1
"""The greatest number that both databases compare."""


def check_duration(value: timedelta, what: str, *, positive: bool = False) -> timedelta:
    """Return a length of time, from 0 up to a century.

    Args:
        value: The length.
        what: What it is, with an article: ``a lease``.
        positive: Whether 0 is refused.

    Raises:
        InvalidValueError: It is none.
    """
    is_length = type(value) is timedelta and timedelta(0) <= value <= LONGEST
    if not is_length or (positive and not value):
        least = "above 0" if positive else "from 0"
        raise InvalidValueError(f"{what} is a timedelta {least}, up to a century")
    return value


def check_seconds(value: float, what: str, *, positive: bool = False) -> float:
    """Return a time to wait in seconds; it may be infinite.

    Args:
        value: The time.
        what: What it is, with an article.
        positive: Whether 0 is refused.

    Raises:
        InvalidValueError: It is none.
    """
    is_number = type(value) in {int, float} and value >= 0
    if not is_number or (positive and not value):
        raise InvalidValueError(f"{what} is {'above 0' if positive else 'from 0'} seconds")
    return value


def check_count(value: int, what: str, *, least: int = 1, most: int = MOST) -> int:
    """Return a whole number.

    Raises:
        InvalidValueError: It is none, or out of range.
    """
    if type(value) is not int or not least <= value <= most:
        upper = "" if most == MOST else f" to {most}"
        raise InvalidValueError(f"{what} is a whole number from {least}{upper}")
    return value


def check_switch(value: bool, what: str) -> bool:  # noqa: FBT001 -- the value that is checked
    """Return whether something is so: nothing but True and False tells.

    Raises:
        InvalidValueError: It is neither.
    """
    if type(value) is not bool:
        raise InvalidValueError(f"{what} is True or False")
    return value


def check_text(value: object, what: str) -> str:
    """Return text that is not empty.

    Raises:
        InvalidValueError: It is none.
    """
    if not isinstance(value, str) or not value:
        raise InvalidValueError(f"{what} is text of 1 character or more")
    return value


def check_values(values: Iterable[T], what: str) -> list[T]:
    """Return several values as a list; one text is not several letters.

    Raises:
        InvalidValueError: They are no collection.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError(f"expects several {what}")
    return list(values)


def check_fields(given: Mapping[str, Any], shape: type) -> None:
    """Refuse columns that a verb does not take: those would be written past its promises.

    Args:
        given: Columns by name.
        shape: The TypedDict that lists those of the verb.

    Raises:
        InvalidValueError: There is another.
    """
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- as above
        raise InvalidValueError("expects columns by name")
    listed: Any = shape  # a TypedDict has no type of its own
    known: frozenset[str] = listed.__required_keys__ | listed.__optional_keys__
    if unknown := sorted({*given} - known):
        raise InvalidValueError(f"the verb takes no {unknown[0]}")
