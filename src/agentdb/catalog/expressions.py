"""Expressions in one form, whichever way a database prints them.

PostgreSQL gives an expression back with casts and parentheses, ``IN`` as ``= ANY (ARRAY[…])`` and
``LIKE`` as ``~~``; asking the server for the form of ours would take a table to write it to. So
both are parsed here: casts of literals and between types of text are dropped, as they change no
result, and the order of what AND, OR and IN join is dropped too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentdb.catalog.tokens import Token, tokens_of

_TEXT_TYPES = {"text", "varchar", "character varying", "text[]", "character varying[]"}
_TYPE_WORDS = {"varying", "precision", "with", "without", "time", "zone"}
_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=", "~~", "!~~", "like")
_SAME = {"!=": "<>", "~~": "LIKE", "like": "LIKE", "!~~": "NOT LIKE"}
_OPERATORS = ("->", "->>", "||", "+", "-", "*", "/", "%")


def canonical(sql: str) -> str:
    """Return *sql* in a form in which equal expressions are equal texts.

    One that is not understood comes back as it was, in single blanks: it equals only itself.
    """
    return _canonical(tokens_of(sql), " ".join(sql.split()))


def canonical_tokens(tokens: Sequence[Token]) -> str:
    """Return the expression of *tokens* as `canonical` does."""
    return _canonical(tokens, " ".join(token.text for token in tokens))


def _canonical(tokens: Sequence[Token], otherwise: str) -> str:
    parser = _Parser(tokens)
    try:
        found = parser.either()
    except (IndexError, _NotUnderstoodError):
        return otherwise
    return found if parser.is_done() else otherwise


class _NotUnderstoodError(Exception):
    """The expression has something that none of ours has."""


class _Parser:
    """Recursive descent, loosest binding first: each method returns the canonical text."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._groups: dict[str, tuple[str, set[str]]] = {}

    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def either(self) -> str:
        return self._joined("or", self._both)

    def _both(self) -> str:
        return self._joined("and", self._negated)

    def _joined(self, word: str, operand: Callable[[], str]) -> str:
        parts = self._parts(word, operand())
        while self._accept(word):
            parts |= self._parts(word, operand())
        if len(parts) == 1:
            return parts.pop()
        found = f"({f' {word.upper()} '.join(sorted(parts))})"
        self._groups[found] = (word, parts)
        return found

    def _parts(self, word: str, operand: str) -> set[str]:
        """Return what *operand* joins by the same word, whose order and grouping mean nothing."""
        joined, parts = self._groups.get(operand, ("", set[str]()))
        return set(parts) if joined == word else {operand}

    def _negated(self) -> str:
        return f"(NOT {self._negated()})" if self._accept("not") else self._compared()

    def _compared(self) -> str:
        left = self._operated()
        if self._accept("is"):
            return self._is(left)
        if self._accept("not"):
            return self._not(left)
        if self._accept("in"):
            return _in(left, self._list("(", ")"))
        for sign in _COMPARISONS:
            if self._accept(sign):
                return self._with(left, sign)
        return left

    def _is(self, left: str) -> str:
        negation = "NOT " if self._accept("not") else ""
        return f"({left} IS {negation}{self._take().upper()})"

    def _not(self, left: str) -> str:
        if self._accept("in"):
            return f"(NOT {_in(left, self._list('(', ')'))})"
        self._require("like")
        return f"({left} NOT LIKE {self._operated()})"

    def _with(self, left: str, sign: str) -> str:
        if sign == "=" and self._accept("any"):
            return _in(left, self._array())
        if sign == "<>" and self._accept("all"):
            return f"(NOT {_in(left, self._array())})"
        return f"({left} {_SAME.get(sign, sign)} {self._operated()})"

    def _array(self) -> list[str]:
        self._require("(")
        # The array itself may stand in parentheses, to be cast as a whole.
        grouped = self._accept("(")
        self._require("array")
        items = self._list("[", "]")
        self._casts("")
        if grouped:
            self._require(")")
            self._casts("")
        self._require(")")
        return items

    def _operated(self) -> str:
        left = self._cast()
        while sign := next((sign for sign in _OPERATORS if self._accept(sign)), None):
            left = f"({left} {sign} {self._cast()})"
        return left

    def _cast(self) -> str:
        return self._casts(self._primary())

    def _casts(self, operand: str) -> str:
        while self._accept("::"):
            kind = self._type()
            if operand and not operand.startswith("'") and kind not in _TEXT_TYPES:
                operand = f"{operand}::{kind}"
        return operand

    def _type(self) -> str:
        words = [self._take()]
        while self._accept("."):
            words = [self._take()]
        while not self.is_done() and self._tokens[self._at].means(*_TYPE_WORDS):
            words.append(self._take())
        if self._accept("("):
            words[-1] += f"({self._take()})"
            self._require(")")
        if self._accept("["):
            self._require("]")
            words[-1] += "[]"
        return " ".join(words)

    def _primary(self) -> str:
        if self._accept("("):
            found = self.either()
            self._require(")")
            return found
        token = self._tokens[self._at]
        if token.kind == "sign":
            raise _NotUnderstoodError
        name = self._take()
        if token.kind in {"text", "number"}:
            return name
        while self._accept("."):
            name = self._take()
        if not self.is_done() and self._tokens[self._at].means("("):
            return f"{name}({', '.join(self._list('(', ')'))})"
        return name

    def _list(self, opening: str, closing: str) -> list[str]:
        self._require(opening)
        if self._accept(closing):
            return []
        items = [self.either()]
        while self._accept(","):
            items.append(self.either())
        self._require(closing)
        return items

    def _accept(self, word: str) -> bool:
        found = not self.is_done() and self._tokens[self._at].means(word)
        self._at += found
        return found

    def _require(self, word: str) -> None:
        if not self._accept(word):
            raise _NotUnderstoodError

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1].text


def _in(left: str, items: list[str]) -> str:
    if len(items) == 1:
        return f"({left} = {items[0]})"
    return f"({left} IN ({', '.join(sorted(items))}))"
