"""Text: bounded, unbounded, and compared without case."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, TypeGuard, cast

from sqlalchemy import String as _String
from sqlalchemy import Text as _Text
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine
from typing_extensions import override

from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types.base import StrictType, are_of, is_storable

MAX_TEXT = 16 * 1024 * 1024
"""Characters that a column without a length takes: far below PostgreSQL's 1 GB for one value, far
above any message or summary."""


class String(StrictType[str]):
    """VARCHAR that holds its length on SQLite too, and refuses NUL and lone surrogates.

    Lengths count characters, as PostgreSQL does (https://www.postgresql.org/docs/current/datatype-character.html).
    A value that is only compared with the column may be longer: it matches nothing.
    """

    impl = _String
    cache_ok = True

    def __init__(self, length: int | None = None, *, compared: bool = False) -> None:
        super().__init__(length)
        self.length = length
        self.compared = compared

    @property
    @override
    def python_type(self) -> type[str]:
        return str

    @override
    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.expected("text")
        limit = MAX_TEXT if self.length is None else self.length
        if len(value) > limit and not self.compared:
            raise ValueTooLongError(f"at most {limit} characters", limit=limit, **self.place)
        self._check_characters(value)
        # A member of a string enumeration goes to the driver as the plain text it is.
        return value if type(value) is str else str.__str__(value)

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[str | None]]:
        if not are_of(values, str, NoneType):
            return False
        texts: list[str] = [value for value in cast("Sequence[str | None]", values) if value]
        limit = MAX_TEXT if self.length is None else self.length
        return max(map(len, texts), default=0) <= limit and is_storable("".join(texts))

    def _check_characters(self, value: str) -> None:
        if "\x00" in value:
            raise InvalidValueError("text may not contain NUL", **self.place)
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                message = "text may not contain a lone surrogate"
                raise InvalidValueError(message, **self.place) from None

    @override
    def filtering(self) -> TypeEngine[Any]:
        twin = type(self)(self.length, compared=True)
        twin.column = self.column
        return twin


class Text(String):
    """TEXT under the same checks."""

    impl = _Text
    cache_ok = True

    def __init__(self, length: None = None, *, compared: bool = False) -> None:
        super().__init__(length, compared=compared)


class CITEXTCompat(String):
    """Text that keeps the case it was given and compares without it: CITEXT, else VARCHAR(255).

    SQLite folds ASCII alone (``COLLATE NOCASE``), PostgreSQL by the locale of the database; where
    both must agree beyond ASCII, as for e-mail addresses, the verbs store one canonical form.
    CITEXT has no length of its own, so the 255 characters of the fallback hold on both.
    """

    impl = _String
    cache_ok = True

    def __init__(self, length: int = 255, *, compared: bool = False) -> None:
        super().__init__(length, compared=compared)

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(CITEXT())
        return dialect.type_descriptor(_String(self.length, collation="NOCASE"))


class Choice(String):
    """A closed list of labels, kept as text: an unknown one is refused on write, not on reading.

    A newer release may have stored a label that this one does not know; reading it is no error.
    """

    impl = _String
    cache_ok = True

    def __init__(
        self, labels: tuple[str, ...], length: int | None = None, *, compared: bool = False
    ) -> None:
        super().__init__(length, compared=compared)
        self.labels = labels

    @override
    def check(self, value: object) -> str:
        text = super().check(value)
        if text not in self.labels and not self.compared:
            raise InvalidValueError(f"expects one of {', '.join(self.labels)}", **self.place)
        return text

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[str | None]]:
        return are_of(values, str, NoneType) and set(values).issubset({*self.labels, None})

    @override
    def filtering(self) -> TypeEngine[Any]:
        twin = type(self)(self.labels, self.length, compared=True)
        twin.column = self.column
        return twin
