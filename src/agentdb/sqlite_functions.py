"""Functions that SQLite calls back into this process for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from unicodedata import normalize

MATCHES = "agentdb_matches"
"""SQL name of `matches`."""

FOLDED = "agentdb_folded"
"""SQL name of `folded`."""

MOVED = "agentdb_moved"
"""SQL name of `moved`."""

SEARCHED_CHARACTERS = 100_000
"""How far into a text words are looked for; the index of PostgreSQL reaches as far."""

_WORD = re.compile(r"[^\W_]+")


def register_functions(connection: Any) -> None:
    """Make the functions known to a connection of the driver."""
    connection.create_function(MATCHES, 2, matches, deterministic=True)
    connection.create_function(FOLDED, 1, folded, deterministic=True)
    connection.create_function(MOVED, 2, moved, deterministic=True)


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, without their case: runs of letters and digits."""
    return frozenset(_WORD.findall(folded(text)))


def matches(text: object, query: str) -> bool:
    """Whether every word of *query* begins a word of *text*, in any case and beyond ASCII too.

    What is no text matches nothing; a query without words matches every text.
    """
    if not isinstance(text, str):
        return False
    searched = folded(text[:SEARCHED_CHARACTERS])
    return all(beginning.search(searched) for beginning in _beginnings(query))


@lru_cache(maxsize=64)
def _beginnings(query: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?<![^\W_]){re.escape(word)}") for word in words_of(query))


def folded(text: str) -> str:
    """Return a text without its case, beyond ASCII too; SQLite's own functions fold ASCII alone."""
    # Folding may leave a letter and an accent that compose.
    return normalize("NFC", normalize("NFC", text).casefold())


def moved(instant: str | None, microseconds: int) -> str | None:
    """Return a stored instant so many microseconds later; SQLite's own functions know milliseconds.

    What is returned has the form that orders: of fixed width, in UTC.
    """
    if instant is None:
        return None
    read = datetime.fromisoformat(instant)
    utc = read if read.tzinfo is None else read.astimezone(UTC).replace(tzinfo=None)
    return (utc + timedelta(microseconds=microseconds)).isoformat(" ", "microseconds")
