"""SQL cut into tokens: for expressions of both databases, and for the statements of SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<sign>::|->>|->|!~~\*?|~~\*?|<>|!=|<=|>=|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: words in lower case and names without quotation marks, literals as they stand.

    Attributes:
        kind: ``text``, ``quoted``, ``word``, ``number`` or ``sign``.
        text: What it is.
    """

    kind: str
    text: str

    def means(self, *words: str) -> bool:
        """Whether this is one of the key words or signs, not a name or a literal like it."""
        return self.kind in {"word", "sign"} and self.text in words


def _token(kind: str, found: str) -> Token:
    if kind == "word":
        return Token(kind, found.lower())
    if kind == "quoted":
        return Token(kind, found[1:-1].replace(found[0] * 2, found[0]))
    return Token(kind, found)


def tokens_of(sql: str) -> list[Token]:
    """Return the tokens of *sql* without blanks and comments."""
    return [
        _token(str(match.lastgroup), match[0])
        for match in _TOKEN.finditer(sql)
        if match.lastgroup != "space"
    ]


def inside(tokens: Sequence[Token], start: int) -> Sequence[Token]:
    """Return the tokens within the parentheses that open at *start*."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += tokens[place].means("(") - tokens[place].means(")")
        if depth == 0:
            return tokens[start + 1 : place]
    return tokens[start + 1 :]


def top_level(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield the places of the tokens that stand in no parentheses; of those, the opening one."""
    depth = 0
    for place, token in enumerate(tokens):
        depth -= token.means(")")
        if depth == 0:
            yield place
        depth += token.means("(")


def split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield what stands between the commas that are in no parentheses."""
    start = 0
    for place in top_level(tokens):
        if tokens[place].means(","):
            yield tokens[start:place]
            start = place + 1
    yield tokens[start:]
