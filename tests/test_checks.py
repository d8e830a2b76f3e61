"""What the arguments of verbs have to be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypedDict

import pytest

from agentdb.checks import (
    LONGEST,
    MOST,
    check_count,
    check_duration,
    check_fields,
    check_seconds,
    check_text,
    check_values,
)
from agentdb.errors import InvalidValueError

SECOND = timedelta(seconds=1)


class Fields(TypedDict, total=False):
    """Columns of a verb."""

    name: str


class MoreFields(Fields, total=False):
    """And one more."""

    size: int


@pytest.mark.parametrize("value", [-SECOND, LONGEST + SECOND, timedelta.max, 5, "5", None])
def test_what_is_no_length_of_time_is_refused(value: Any) -> None:
    """It runs from 0 to a century, so that it can be added to an instant."""
    with pytest.raises(InvalidValueError, match="a lease is a timedelta"):
        check_duration(value, "a lease")


def test_a_length_of_time_may_have_to_be_positive() -> None:
    """Where nothing would last for no time."""
    assert check_duration(timedelta(0), "an age") == timedelta(0)
    assert check_duration(LONGEST, "an age", positive=True) == LONGEST
    with pytest.raises(InvalidValueError, match="above 0"):
        check_duration(timedelta(0), "a lease", positive=True)


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), True, "5", None, SECOND])
def test_what_is_no_time_to_wait_is_refused(value: Any) -> None:
    """It is a number of seconds, without an end at the most."""
    with pytest.raises(InvalidValueError, match="a pause is from 0 seconds"):
        check_seconds(value, "a pause")


def test_a_time_to_wait_may_have_to_be_positive() -> None:
    """Where there is a next look."""
    assert [check_seconds(value, "a pause") for value in (0, 0.5)] == [0, 0.5]
    assert check_seconds(math.inf, "a poll", positive=True) == math.inf
    with pytest.raises(InvalidValueError, match="above 0 seconds"):
        check_seconds(0.0, "a poll", positive=True)


@pytest.mark.parametrize("value", [0, MOST + 1, True, 1.0, "1", None])
def test_what_is_no_count_is_refused(value: Any) -> None:
    """A boolean is no number, and none exceeds 64 bits."""
    with pytest.raises(InvalidValueError, match="a limit is a whole number from 1"):
        check_count(value, "a limit")


def test_a_count_has_its_range() -> None:
    """Both ends of it count."""
    assert [check_count(n, "a limit", least=0, most=2) for n in (0, 2)] == [0, 2]
    with pytest.raises(InvalidValueError, match="from 0 to 2"):
        check_count(3, "a limit", least=0, most=2)


@pytest.mark.parametrize("value", ["", None, 5, b"a"])
def test_what_is_no_text_is_refused(value: object) -> None:
    """Nor is text without a character."""
    with pytest.raises(InvalidValueError):
        check_text(value, "a name")


@pytest.mark.parametrize("values", ["abc", b"abc", {"a": 1}, None, 5])
def test_one_value_is_not_several(values: Any) -> None:
    """Text would be taken apart into letters."""
    with pytest.raises(InvalidValueError, match="several names"):
        check_values(values, "names")


@pytest.mark.parametrize("values", [["a", "b"], ("a", "b"), iter("ab"), {"a": 1, "b": 2}.keys()])
def test_several_values_come_as_a_list(values: Iterable[str]) -> None:
    """Whatever they come in; an iterator is read once."""
    assert check_values(values, "names") == ["a", "b"]


def test_columns_are_those_that_are_listed() -> None:
    """With those that the list has from another."""
    check_fields({"name": "a", "size": 1}, MoreFields)
    check_fields({}, Fields)
    with pytest.raises(InvalidValueError, match="takes no size"):
        check_fields({"name": "a", "size": 1}, Fields)
