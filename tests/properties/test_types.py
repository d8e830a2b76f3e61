"""Each portable type means the same on SQLite and on PostgreSQL, whichever way a value comes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from agentdb.errors import (
    AgentDBError,
    InvalidValueError,
    NaiveDatetimeError,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from agentdb.types import uuid_pk
from tests.properties.conftest import Both
from tests.properties.scratch import PATHS, TABLE, Mood, is_null, same, undone
from tests.properties.values import VALUES, documents, folds, foreign, instants, sound, spoiled

LIMITS = {"integer": 2**31, "big": 2**63, "row_id": 2**63}
FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 28)  # noqa: DTZ001 - hypothesis adds zones
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("column", sorted(VALUES))
@given(data=st.data())
def test_a_value_has_one_outcome_everywhere(both: Both, column: str, data: st.DataObject) -> None:
    """Both databases, by ORM, Core and bulk, read back the same or raise the same of our errors."""
    value = data.draw(VALUES[column] | foreign)
    found = both.outcome(column, value)

    assert found.error is None or issubclass(found.error, AgentDBError)


@pytest.mark.parametrize("column", sorted(VALUES))
@pytest.mark.parametrize("path", sorted(PATHS))
def test_none_is_null(both: Both, column: str, path: str) -> None:
    """None is SQL NULL in every column, JSON included, and reads as None."""
    assert all(is_null(side, column, None, path) for side in both.sides)


@pytest.mark.parametrize(
    ("column", "limit"), [("string", 8), ("citext", 255), ("text", None), ("unbounded", None)]
)
@given(value=st.text(sound, max_size=12))
def test_text_comes_back_as_it_was(both: Both, column: str, limit: int | None, value: str) -> None:
    """Every character is kept, trailing spaces and case too, up to the length of the column."""
    found = both.outcome(column, value)

    if limit is not None and len(value) > limit:
        assert ValueTooLongError is found.error
    else:
        assert value == found.value


@pytest.mark.parametrize(("column", "limit"), [("string", 8), ("citext", 255)])
@given(extra=st.integers(-2, 2), letter=st.sampled_from(["a", "é", "\U0001f600"]))
def test_lengths_are_counted_in_characters(
    both: Both, column: str, limit: int, extra: int, letter: str
) -> None:
    """Letters of four bytes count as one on both databases, at the very limit."""
    found = both.outcome(column, letter * (limit + extra))

    assert (ValueTooLongError if extra > 0 else None) is found.error


@pytest.mark.parametrize("column", ["string", "unbounded", "text", "citext"])
@given(before=st.text(max_size=3), bad=st.sampled_from("\x00\ud800\udbff\udc00\udfff"))
def test_nul_and_lone_surrogates_are_refused(
    both: Both, column: str, before: str, bad: str
) -> None:
    """Text that PostgreSQL cannot store is stored nowhere."""
    assert InvalidValueError is both.outcome(column, before + bad).error


@given(
    value=st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=9),
    other=st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=9),
)
def test_text_without_case_is_found_in_any_case(both: Both, value: str, other: str) -> None:
    """CITEXTCompat keeps the case it was given, and compares ASCII without it."""
    for side in both.sides:
        with undone(side):
            side.execute(insert(TABLE), {"citext": value})
            found = select(TABLE.c.citext)
            stored = side.execute(found.where(TABLE.c.citext == value.swapcase())).scalars().all()
            matched = side.execute(found.where(TABLE.c.citext == other)).first() is not None
        assert [value] == stored
        assert (value.lower() == other.lower()) == matched


@given(value=st.text(sound, max_size=12))
def test_a_choice_is_one_of_its_labels(both: Both, value: str) -> None:
    """A label is written as it stands; everything else is refused, other cases too."""
    assert both.outcome("choice", "on").value == "on"
    assert value in {"on", "off"} or both.outcome("choice", value).error in {
        InvalidValueError,
        ValueTooLongError,
    }


@pytest.mark.parametrize("mood", Mood)
def test_an_enumeration_is_written_by_member_or_label(both: Both, mood: Mood) -> None:
    """Both give the member back."""
    assert mood is both.outcome("mood", mood).value
    assert mood is both.outcome("mood", mood.value).value


@pytest.mark.parametrize("column", sorted(LIMITS))
@given(value=st.integers() | st.sampled_from([2**n + d for n in (31, 63) for d in (-1, 0)]))
def test_integers_keep_their_width(both: Both, column: str, value: int) -> None:
    """Within its bits a number comes back; beyond them it is out of range, on SQLite too."""
    limit = LIMITS[column]
    for number in (value, -value):
        found = both.outcome(column, number)
        assert (None if -limit <= number < limit else ValueOutOfRangeError) is found.error
        assert found.error is not None or same(number, found.value)


@given(value=st.binary(max_size=300))
def test_bytes_come_back_as_they_were(both: Both, value: bytes) -> None:
    """Zero bytes and bytes that are no text are kept."""
    assert same(value, both.outcome("blob", value).value)


@given(value=st.uuids(allow_nil=True))
def test_a_uuid_comes_back_as_it_was(both: Both, value: UUID) -> None:
    """A UUID object, whatever its version."""
    assert same(value, both.outcome("uuid", value).value)


@given(values=st.lists(st.uuids(), min_size=2, max_size=6, unique=True))
def test_uuids_have_one_order(both: Both, values: list[UUID]) -> None:
    """Sorting by a UUID gives the same order on both databases, that of its bytes."""
    assert sorted(values) == _sorted_by(both, "uuid", values)


def test_drawn_keys_are_in_order_of_creation(both: Both) -> None:
    """`uuid_pk` makes UUIDs of version 7, each greater than the one before, also as a default."""
    keys = [uuid_pk() for _ in range(2000)]
    assert {7} == {key.version for key in keys}
    assert sorted(set(keys)) == keys
    for side in both.sides:
        with undone(side):
            side.execute(insert(TABLE), [{"string": str(n)} for n in range(20)])
            query = select(TABLE.c.string).where(TABLE.c.drawn.is_not(None))
            found = side.execute(query.order_by(TABLE.c.drawn)).scalars().all()
        assert [str(n) for n in range(20)] == found


@given(value=instants | folds)
def test_an_instant_comes_back_in_utc(both: Both, value: datetime) -> None:
    """The same instant to the microsecond, from any zone; near the ends of time it is refused."""
    found = both.outcome("instant", value)

    try:
        inside = EARLIEST <= value.astimezone(UTC) <= LATEST
    except OverflowError:
        inside = False
    assert (None if inside else ValueOutOfRangeError) is found.error
    if inside:
        assert value.astimezone(UTC) == found.value
        assert UTC is found.value.tzinfo


@given(
    values=st.lists(
        st.datetimes(FIRST, LAST, timezones=st.timezones()),
        min_size=2,
        max_size=6,
        unique_by=lambda value: value.astimezone(UTC),
    )
)
def test_instants_have_one_order(both: Both, values: list[datetime]) -> None:
    """Sorting and comparing in SQL agree with Python, whatever zones the values came in."""
    ordered = sorted(value.astimezone(UTC) for value in values)

    assert ordered == _sorted_by(both, "instant", values)
    for side in both.sides:
        with undone(side):
            side.execute(insert(TABLE), [{"instant": value} for value in values])
            later = select(func.count()).where(TABLE.c.instant > values[0])
            count = side.execute(later).scalar_one()
        assert sum(value > values[0].astimezone(UTC) for value in ordered) == count


def test_the_repeated_hour_is_two_instants(both: Both) -> None:
    """When clocks go back, fold tells the first half past one from the second."""
    first = datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    second = first.replace(fold=1)

    found = [both.outcome("instant", value).value for value in (first, second)]
    assert timedelta(hours=1) == found[1] - found[0]


@given(value=st.datetimes())
def test_a_datetime_without_a_zone_is_refused(both: Both, value: datetime) -> None:
    """Nobody guesses whose time it was."""
    assert NaiveDatetimeError is both.outcome("instant", value).error


@given(value=st.dates())
def test_a_day_comes_back_as_it_was(both: Both, value: Any) -> None:
    """All days of the calendar."""
    assert same(value, both.outcome("day", value).value)


@given(value=st.booleans())
def test_a_boolean_comes_back_as_one(both: Both, value: bool) -> None:
    """True and False, not 1 and 0."""
    assert value is both.outcome("boolean", value).value


@pytest.mark.parametrize("column", ["json", "jsonb"])
@given(value=documents)
def test_json_comes_back_equal(both: Both, column: str, value: Any) -> None:
    """Large floats stay floats and large integers integers; text keeps every character."""
    assert same(value, both.outcome(column, value).value)


@pytest.mark.parametrize("column", ["json", "jsonb"])
@given(value=st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_alone_comes_back_as_it_was(both: Both, column: str, value: float) -> None:
    """A document that is a number is kept to the last digit, however long."""
    assert same(value, both.outcome(column, value).value)


@pytest.mark.parametrize("column", ["json", "jsonb"])
@given(value=spoiled)
def test_what_is_no_json_is_refused(both: Both, column: str, value: Any) -> None:
    """NaN, NUL, lone surrogates, keys that are no text and objects of Python, at any depth."""
    error = both.outcome(column, value).error

    assert error is not None
    assert issubclass(error, InvalidValueError)


@pytest.mark.parametrize("column", ["json", "jsonb"])
@pytest.mark.parametrize("depth", [1, 199, 200, 201, 990, 1010, 20_000])
def test_json_nests_to_200_levels(both: Both, column: str, depth: int) -> None:
    """Deeper documents are refused before any encoder or parser gives up."""
    value: Any = 1
    for level in range(depth - 1):
        value = [value] if level % 2 else {"a": value}

    assert (None if depth <= 200 else ValueTooLongError) is both.outcome(column, value).error


def _sorted_by(both: Both, column: str, values: list[Any]) -> list[Any]:
    """Return the values in the order of both databases."""
    results: list[list[Any]] = []
    for side in both.sides:
        with undone(side):
            side.execute(insert(TABLE), [{column: value} for value in values])
            query = select(TABLE.c[column]).where(TABLE.c[column].is_not(None))
            results.append(list(side.execute(query.order_by(TABLE.c[column])).scalars()))
    assert results[0] == results[1]
    return results[0]
