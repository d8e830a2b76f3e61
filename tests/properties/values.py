"""Values that the types accept and values that they refuse, by column of the scratch table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tests.properties.scratch import Mood


class Word(StrEnum):
    """Text that is more than text."""

    ON = "on"


class Count(IntEnum):
    """A number that is more than a number."""

    TWO = 2


class Name(str):
    """A subclass of text."""

    __slots__ = ()


characters = st.characters(exclude_categories=())
"""All code points, surrogates and NUL included."""

sound = st.characters(codec="utf-8", exclude_characters="\x00")
"""The code points that both databases store."""

awkward = st.sampled_from(
    [
        *("", " ", "a ", "\x00", "a\x00b", "\ud800", "a\udfff", "é", "e\u0301", "\U0001f600" * 8),
        *("%s", ":x", "{}", "'", '"', "\\", "$1", "\u202eabc", "\u200b", "\ufeff", "null"),
        *("a" * 9, "a" * 300),
    ]
)
texts = st.text(characters, max_size=12) | awkward
NAIVE = datetime(2024, 2, 29)  # noqa: DTZ001 - refused for that
foreign = st.sampled_from(
    [
        *(0, 1, True, 1.5, float("nan"), Decimal(1), Count.TWO, timedelta(1), object(), Mood),
        *(b"on", bytearray(b"x"), memoryview(b"x"), "on", "1", Word.ON, Name("on"), UUID(int=7)),
        *(NAIVE, NAIVE.replace(tzinfo=UTC), NAIVE.date(), [1], {"a": 1}, (1,), {1}),
    ]
)
"""Values of all sorts, each of which is right for few columns."""

edges = st.sampled_from([2**n + d for n in (31, 32, 63, 64) for d in (-1, 0, 1)])
integers = st.integers() | edges | edges.map(lambda n: -n)

offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    timezone
)
zones = st.timezones() | offsets
instants = st.datetimes(timezones=zones) | st.one_of(
    # Near the ends of time, where a zone can lead beyond them.
    st.datetimes(max_value=datetime.min + timedelta(days=3), timezones=zones),  # noqa: DTZ901
    st.datetimes(min_value=datetime.max - timedelta(days=3), timezones=zones),  # noqa: DTZ901
)
folds = instants.map(lambda moment: moment.replace(fold=1))

leaves: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(sound, max_size=6)
)
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(sound, max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
no_json: st.SearchStrategy[Any] = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 2**5000, b"x", Decimal(1), (1,), {1}]
) | st.sampled_from(
    ["\x00", "\ud800", UUID(int=1), date(2024, 1, 1), object(), Name("\x00"), Count.TWO]
)
spoiled = st.one_of(
    no_json,
    no_json.map(lambda bad: [1, bad]),
    no_json.map(lambda bad: {"a": [{"b": bad}]}),
    st.sampled_from([{"\x00": 1}, {"a": {"\udc00": 1}}, {1: 2}, {None: 1}, {True: 1}, {(1,): 1}]),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "unbounded": texts,
    "text": texts,
    "citext": texts,
    "choice": texts | st.sampled_from(["on", "off", "On", "", "unknown", Word.ON]),
    "mood": st.sampled_from([*Mood, "calm", "very loud", "CALM", "", "\x00", "unknown"]) | texts,
    "integer": integers,
    "big": integers,
    "row_id": integers,
    "boolean": st.booleans(),
    "uuid": st.uuids(),
    "blob": st.binary(max_size=40),
    "instant": instants | folds | st.datetimes(),
    "day": st.dates() | st.datetimes(),
    # A document that is a whole float alone may come back as an integer.
    "jsonb": documents.filter(lambda value: type(value) is not float) | spoiled,
    "json": documents.filter(lambda value: type(value) is not float) | spoiled,
}
"""What each column is offered, besides values of all sorts."""
