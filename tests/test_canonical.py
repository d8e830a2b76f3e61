"""The canonical forms of e-mail addresses, names and slugs."""

import hashlib
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb.canonical import (
    MAX_EMAIL,
    MAX_FINGERPRINT,
    MAX_SLUG,
    canonical_email,
    canonical_fingerprint,
    canonical_name,
    check_slug,
    cut_user_agent,
)
from agentdb.errors import InvalidValueError, ValueTooLongError

# Letters whose upper case is one letter, and back: beyond those, case has no inverse.
CASED = "abcxyzåäéñőžωяծ"
PARTS = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters="@"))
ADDRESSES = st.builds("{}a@b{}".format, PARTS, PARTS).filter(lambda text: len(text) < 100)
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    | st.sampled_from(" \t\n\u00a0\u3000")
)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=10)


@given(address=ADDRESSES)
def test_a_canonical_address_stays_as_it_is(address: str) -> None:
    """Canonicalised twice, an address is the same as once."""
    once = canonical_email(address)

    assert once == canonical_email(once)


@given(local=st.text(CASED, min_size=1), domain=st.text(CASED, min_size=1))
def test_addresses_are_equal_whatever_their_case(local: str, domain: str) -> None:
    """Upper and lower case of an address have one canonical form, beyond ASCII too."""
    address = f"{local}@{domain}"[:MAX_EMAIL]

    assert canonical_email(address) == canonical_email(address.upper())


@given(address=ADDRESSES)
def test_addresses_are_equal_however_accents_are_written(address: str) -> None:
    """Composed and decomposed letters have one canonical form."""
    assert canonical_email(address) == canonical_email(normalize("NFD", address))


@given(address=ADDRESSES, blanks=st.text(" \t\r\n\u00a0"))
def test_blanks_around_an_address_do_not_count(address: str, blanks: str) -> None:
    """An address is trimmed."""
    assert canonical_email(address) == canonical_email(f"{blanks}{address}{blanks}")


@pytest.mark.parametrize("value", ["", "   ", "ab", "a@", "@b", "a@b@c", "a b", "@@@"])
def test_what_is_no_address_is_refused(value: str) -> None:
    """An address has one @ with something on either side."""
    with pytest.raises(InvalidValueError, match="one @"):
        canonical_email(value)


def test_an_address_has_three_to_255_characters() -> None:
    """The limits of the column, counted in the canonical form."""
    longest = "a@" + "b" * (MAX_EMAIL - 2)

    assert canonical_email("A@B") == "a@b"
    assert longest == canonical_email(f" {longest} ")
    with pytest.raises(ValueTooLongError) as caught:
        canonical_email(f"{longest}b")
    assert caught.value.limit == MAX_EMAIL


@given(name=NAMES)
def test_a_canonical_name_stays_as_it_is(name: str) -> None:
    """Canonicalised twice, a name is the same as once."""
    once = canonical_name(name)

    assert once == canonical_name(once)


@given(name=NAMES)
def test_a_canonical_name_has_single_inner_blanks(name: str) -> None:
    """No white space at the ends, and none but single blanks between words."""
    tidy = canonical_name(name)

    assert tidy == tidy.strip()
    assert name.split() == (tidy.split(" ") if tidy else [])


def test_a_name_keeps_its_case() -> None:
    """People and companies choose how they are written."""
    assert canonical_name(" Ada  de\tLOVELACE ") == "Ada de LOVELACE"


@given(words=st.lists(WORDS, min_size=1, max_size=5))
def test_words_joined_by_hyphens_are_a_slug(words: list[str]) -> None:
    """A slug passes unchanged."""
    slug = "-".join(words)

    assert slug == check_slug(slug)


@pytest.mark.parametrize(
    "value", ["", "-", "a-", "-a", "a--b", "A", "a b", "a_b", "é", "٣", "a\n", " a"]
)
def test_what_is_no_slug_is_refused(value: str) -> None:
    """A slug is checked, never repaired: it is part of addresses that people keep."""
    with pytest.raises(InvalidValueError, match="slug"):
        check_slug(value)


def test_a_slug_has_up_to_64_characters() -> None:
    """The length of the column."""
    assert check_slug("a" * MAX_SLUG) == "a" * MAX_SLUG
    with pytest.raises(ValueTooLongError) as caught:
        check_slug("a" * (MAX_SLUG + 1))
    assert caught.value.limit == MAX_SLUG


@given(fingerprint=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_short_fingerprint_stays_and_a_long_one_becomes_a_digest(fingerprint: str) -> None:
    """Both fit their columns; a digest is that of the whole, and stays as it is."""
    assert canonical_fingerprint(fingerprint[:MAX_FINGERPRINT]) == fingerprint[:MAX_FINGERPRINT]
    long = fingerprint + "x" * (MAX_FINGERPRINT + 1)
    digest = canonical_fingerprint(long)

    assert digest == f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"
    assert canonical_fingerprint(digest) == digest


@pytest.mark.parametrize("value", [None, 42, b"a@b", ["a@b"], "a\x00@b", "\ud800@b"], ids=repr)
@pytest.mark.parametrize("form", [canonical_email, canonical_name, check_slug, cut_user_agent])
def test_what_no_database_keeps_is_refused(form: Callable[[Any], str], value: object) -> None:
    """Before it is taken apart: no form of it is stored."""
    with pytest.raises(InvalidValueError):
        form(value)
