"""Digests of tokens and codes: what is stored in the place of a secret."""

from __future__ import annotations

import hashlib
import hmac

from agentdb.errors import InvalidValueError


def token_digest(token: str | bytes, key: bytes | None = None) -> str:
    """Return the SHA-256 of a token, or its HMAC-SHA-256 under a key, as 64 hex digits.

    Every byte counts, however long the token is. Meant for secrets that cannot be guessed, of 128
    random bits or more; a password needs a slow hash instead.

    Args:
        token: The token; text is taken as UTF-8.
        key: A key that is kept outside the database: without it, a stolen digest cannot even be
            compared with a known token.

    Raises:
        InvalidValueError: The text has a lone surrogate, or the key is empty.
    """
    data = bytes_of(token)
    if key is None:
        return hashlib.sha256(data).hexdigest()
    if not key:
        raise InvalidValueError("the key of a digest is not empty")
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def digests_equal(one: str, other: str) -> bool:
    """Compare two digests in a time that does not tell how much of them is equal."""
    return hmac.compare_digest(bytes_of(one), bytes_of(other))


def bytes_of(token: str | bytes) -> bytes:
    """Return a token as bytes; text is taken as UTF-8.

    Raises:
        InvalidValueError: The text has a lone surrogate.
    """
    if isinstance(token, bytes):
        return token
    try:
        return token.encode("utf-8")
    except UnicodeEncodeError:
        # The cause would quote the token.
        raise InvalidValueError("a token may not contain a lone surrogate") from None
