from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb.batch import stored_instant
from agentdb.sqlite_functions import matches, moved, words_of

WORD = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8)
NOTHING = st.text(st.sampled_from("%_*?'\"()[]{}\\^$.|+-& \t\n"), max_size=8)


@given(words=st.lists(WORD, min_size=1, max_size=5), gap=NOTHING.filter(bool))
def test_a_text_has_the_beginnings_of_its_words(words: list[str], gap: str) -> None:
    """In any case and form, whatever stands between them."""
    text = gap.join(words)
    for word in words_of(text):
        for length in range(1, len(word) + 1):
            assert matches(text, word[:length])
    assert matches(text, text.upper().lower()) == matches(
        text.upper().lower(), text.upper().lower()
    )
    assert matches(normalize("NFD", text), normalize("NFC", text))


@given(text=st.text(max_size=30), query=st.text(max_size=8))
def test_any_query_of_any_text_has_an_answer(text: str, query: str) -> None:
    """No character is special, and a match means that each word begins one of the text."""
    found = matches(text, query)

    present = words_of(text)
    assert found == all(
        any(word.startswith(wanted) for word in present) for wanted in words_of(query)
    )


@given(query=NOTHING)
def test_what_has_no_letter_or_digit_has_no_word(query: str) -> None:
    """Wildcards and operators are not searched for."""
    assert words_of(query) == frozenset()


@pytest.mark.parametrize("text", [None, 7, 7.5, b"hello"])
def test_what_is_no_text_matches_nothing(text: object) -> None:
    """Numbers, bytes and NULL."""
    assert not matches(text, "hello")
    assert not matches(text, "7")


def test_letters_beyond_ascii_are_folded() -> None:
    """Greek, German and accented ones, composed or not."""
    assert matches("ΟΔΟΣ", "οδος")
    assert matches("Straße", "STRASSE")
    assert matches("CAFÉ", "café")
    assert not matches("CAFÉ", "cafe")


@given(at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), by=st.integers(-(10**9), 10**9))  # noqa: DTZ001 -- the strategy adds the time zone
def test_a_moved_instant_is_stored_as_any_other(at: datetime, by: int) -> None:
    """To the microsecond, in the form that orders."""
    instant = at.replace(tzinfo=UTC)

    later = stored_instant(instant + timedelta(microseconds=by))
    assert moved(stored_instant(instant), by) == later


def test_a_moved_instant_of_another_zone_is_in_utc() -> None:
    """Others may have written an offset."""
    assert moved("2026-01-02 05:04:05.999999+02:00", 1) == "2026-01-02 03:04:06.000000"
    assert moved(None, 1) is None
