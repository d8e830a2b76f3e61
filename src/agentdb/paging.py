"""Pages in key order, and the opaque cursors that continue them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_

from agentdb.errors import InvalidCursorError, InvalidValueError

T_co = TypeVar("T_co", covariant=True)

MAX_PAGE = 500
"""Rows of one page at the most."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some rows of a longer walk.

    Attributes:
        items: The rows, in order.
        next_cursor: Continues after the last of them; None exactly when nothing follows.
    """

    items: tuple[T_co, ...]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def check_limit(limit: int, most: int = MAX_PAGE) -> int:
    """Return *limit* if a page may have that many rows.

    Raises:
        InvalidValueError: It is no number from 1 to *most*.
    """
    if type(limit) is not int or not 1 <= limit <= most:
        raise InvalidValueError(f"a page has 1 to {most} rows")
    return limit


def fingerprint(where: Sequence[ColumnElement[bool]], *parts: object) -> str:
    """Return what binds a cursor to its query: conditions, their values, and *parts*.

    The text of a statement is the same in every process; the values are added by their repr.
    """
    text = repr((*_conditions(where), [str(part) for part in parts]))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


def _conditions(where: Sequence[ColumnElement[bool]]) -> tuple[str, list[tuple[str, str]]]:
    if not where:
        return "", []
    compiled = and_(True, *where).compile()
    return str(compiled), sorted((name, _stable(value)) for name, value in compiled.params.items())


def _stable(value: object) -> str:
    """Return a text of *value* that is the same in every process; the order of a set is not."""
    if isinstance(value, list | tuple | set | frozenset):
        return repr(sorted(repr(item) for item in cast("list[object]", value)))
    return repr(value)


def encode_cursor(bound_to: str, values: Sequence[object]) -> str:
    """Return the cursor of the row whose sort columns hold *values*."""
    body = json.dumps([_VERSION, [_plain(v) for v in values]], separators=(",", ":"))
    return _opaque(_seal(bound_to, body), body)


def decode_cursor(bound_to: str, cursor: str, kinds: Sequence[type[Any]]) -> list[Any]:
    """Return the values of a cursor.

    Args:
        bound_to: The fingerprint of the query that continues.
        cursor: What `encode_cursor` returned.
        kinds: Python types of the sort columns.

    Raises:
        InvalidCursorError: The cursor is damaged, of another version or of another query.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        seal, body = text[:16], text[16:]
        if seal != _seal(bound_to, body) or cursor != _opaque(seal, body):
            raise InvalidCursorError("the cursor belongs to another query")
        version, values = json.loads(body)
        if version != _VERSION or len(values) != len(kinds):
            raise InvalidCursorError("the cursor is of another version")
        return [_typed(v, kind) for v, kind in zip(values, kinds, strict=True)]
    except (AttributeError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise InvalidCursorError("the cursor is damaged") from error


def _opaque(seal: str, body: str) -> str:
    return base64.urlsafe_b64encode(f"{seal}{body}".encode()).decode().rstrip("=")


def _seal(bound_to: str, body: str) -> str:
    """A checksum, not a secret: a forged position shows nothing that the query itself would not."""
    return hashlib.sha256(f"{bound_to}|{body}".encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):
        return value.hex
    return value


def _whole(value: Any) -> int:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("no column holds the number")
    return number


_READERS: dict[type[Any], Callable[[Any], Any]] = {
    int: _whole,
    UUID: UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    bytes: bytes.fromhex,
}


def _typed(value: Any, kind: type[Any]) -> Any:
    if value is None:
        return None
    if issubclass(kind, Enum):
        return value
    return _READERS.get(kind, kind)(value)
