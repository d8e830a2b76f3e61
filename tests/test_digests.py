"""Digests of tokens."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb import digests_equal, token_digest
from agentdb.errors import InvalidValueError


@given(token=st.binary(max_size=300), key=st.none() | st.binary(min_size=1))
def test_a_digest_is_the_sha256_or_its_hmac(token: bytes, key: bytes | None) -> None:
    """Over the bytes as they are; 64 hex digits."""
    known = hmac.new(key, token, "sha256") if key else hashlib.sha256(token)

    assert token_digest(token, key) == known.hexdigest()


@given(prefix=st.binary(min_size=72, max_size=200), ends=st.sets(st.binary(), min_size=2))
def test_every_byte_counts(prefix: bytes, ends: set[bytes]) -> None:
    """Tokens that differ behind the 72nd byte, where some password hashes end, differ."""
    assert len({token_digest(prefix + end) for end in ends}) == len(ends)


@given(token=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_taken_as_utf_8(token: str) -> None:
    """With or without a key."""
    assert token_digest(token) == token_digest(token.encode())
    assert token_digest(token, b"key") == token_digest(token.encode(), b"key")


def test_what_is_no_token_or_key_is_refused() -> None:
    """The message does not show it."""
    with pytest.raises(InvalidValueError) as refused:
        token_digest("secret\ud800")
    assert "secret" not in str(refused.value)
    with pytest.raises(InvalidValueError, match="key"):
        token_digest("secret", b"")


def test_digests_are_compared_whole() -> None:
    """Whatever characters they have."""
    digest = token_digest("secret")

    assert digests_equal(digest, token_digest("secret"))
    assert not digests_equal(digest, token_digest("secret", b"key"))
    assert not digests_equal(digest, "é")
