"""The one form in which addresses, names, slugs and devices are stored, compared and searched."""

from __future__ import annotations

import hashlib
import re
from unicodedata import normalize

from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types import Text

MAX_EMAIL = 255
MAX_SLUG = 64
MAX_FINGERPRINT = 128
MAX_USER_AGENT = 512

_TEXT = Text()
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def canonical_email(value: str) -> str:
    """Return an e-mail address trimmed, in NFC and in lower case.

    PostgreSQL folds the case of a CITEXT by the locale of the database, SQLite that of ASCII alone;
    of canonical addresses, both hold the same ones equal.

    Raises:
        InvalidValueError: It is no address: one ``@`` with something on either side.
        ValueTooLongError: It has more than 255 characters.
    """
    # Lower case first: it may leave a letter and an accent that compose.
    address = normalize("NFC", _TEXT.check(value).strip().lower())
    if len(address) > MAX_EMAIL:
        message = f"an e-mail address has at most {MAX_EMAIL} characters"
        raise ValueTooLongError(message, limit=MAX_EMAIL)
    local, _, domain = address.partition("@")
    if not local or not domain or "@" in domain:
        raise InvalidValueError("an e-mail address has one @, with something on either side")
    return address


def canonical_name(value: str) -> str:
    """Return a name trimmed, every run of white space in it one blank.

    Raises:
        InvalidValueError: It is no text, or has a NUL or a lone surrogate in it.
    """
    return " ".join(_TEXT.check(value).split())


def check_name(value: str) -> str:
    """Return a name in its canonical form.

    Raises:
        InvalidValueError: Nothing of it is left, or it is no text.
    """
    name = canonical_name(value)
    if not name:
        raise InvalidValueError("a name has at least 1 character")
    return name


def check_slug(value: str) -> str:
    """Return *value* if it is a slug: lower-case letters, digits and single inner hyphens.

    Raises:
        InvalidValueError: It is none.
        ValueTooLongError: It has more than 64 characters.
    """
    if len(_TEXT.check(value)) > MAX_SLUG:
        raise ValueTooLongError(f"a slug has at most {MAX_SLUG} characters", limit=MAX_SLUG)
    if not _SLUG.fullmatch(value):
        message = "a slug has lower-case letters and digits, joined by single hyphens"
        raise InvalidValueError(message)
    return value


def canonical_fingerprint(value: str) -> str:
    """Return the fingerprint of a device, one of more than 128 characters as ``sha256:`` and hex.

    Raises:
        InvalidValueError: It has a NUL or a lone surrogate in it.
    """
    checked = _TEXT.check(value)
    if len(checked) <= MAX_FINGERPRINT:
        return checked
    return f"sha256:{hashlib.sha256(checked.encode('utf-8')).hexdigest()}"


def cut_user_agent(value: str) -> str:
    """Return as much of a user agent as its column takes: clients send what they like."""
    return _TEXT.check(value)[:MAX_USER_AGENT]
