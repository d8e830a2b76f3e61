"""The one form in which e-mail addresses, names and slugs are stored, compared and searched."""

from __future__ import annotations

import re
from unicodedata import normalize

from agentdb.errors import InvalidValueError, ValueTooLongError

MAX_EMAIL = 255
MAX_SLUG = 64

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
    address = normalize("NFC", value.strip().lower())
    if len(address) > MAX_EMAIL:
        message = f"an e-mail address has at most {MAX_EMAIL} characters"
        raise ValueTooLongError(message, limit=MAX_EMAIL)
    local, _, domain = address.partition("@")
    if not local or not domain or "@" in domain:
        raise InvalidValueError("an e-mail address has one @, with something on either side")
    return address


def canonical_name(value: str) -> str:
    """Return a name trimmed, every run of white space in it one blank."""
    return " ".join(value.split())


def check_slug(value: str) -> str:
    """Return *value* if it is a slug: lower-case letters, digits and single inner hyphens.

    Raises:
        InvalidValueError: It is none.
        ValueTooLongError: It has more than 64 characters.
    """
    if len(value) > MAX_SLUG:
        raise ValueTooLongError(f"a slug has at most {MAX_SLUG} characters", limit=MAX_SLUG)
    if not _SLUG.fullmatch(value):
        message = "a slug has lower-case letters and digits, joined by single hyphens"
        raise InvalidValueError(message)
    return value
