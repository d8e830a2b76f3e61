"""Integers within their width, and booleans that are booleans."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, TypeGuard, cast

from sqlalchemy import BigInteger as _BigInteger
from sqlalchemy import Boolean as _Boolean
from sqlalchemy import Integer as _Integer
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine
from typing_extensions import override

from agentdb.errors import ValueOutOfRangeError
from agentdb.types.base import StrictType, are_of


class _Whole(StrictType[int]):
    """Whole numbers of a fixed width; a bool, a float or a digit string is none."""

    bits: int
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[int]:
        return int

    @override
    def check(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.expected("an integer")
        limit = 1 << (self.bits - 1)
        if not -limit <= value < limit:
            raise ValueOutOfRangeError(f"exceeds {self.bits} bits", **self.place)
        return value

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[int | None]]:
        if not are_of(values, int, NoneType):
            return False
        numbers = [value for value in cast("Sequence[int | None]", values) if value]
        limit = 1 << (self.bits - 1)
        return -limit <= min(numbers, default=0) and max(numbers, default=0) < limit


class BigInteger(_Whole):
    """64-bit integers, on SQLite too."""

    impl = _BigInteger
    cache_ok = True
    bits = 64


class Integer(_Whole):
    """32-bit integers, on SQLite too; compared with any 64-bit one."""

    impl = _Integer
    cache_ok = True
    bits = 32

    @override
    def filtering(self) -> TypeEngine[Any]:
        twin = BigInteger()
        twin.column = self.column
        return twin


class RowId(BigInteger):
    """The key of a table that numbers its rows: BIGINT, on SQLite INTEGER.

    SQLite numbers rows by itself only where the type is spelled INTEGER
    (https://www.sqlite.org/autoinc.html); its integers have 64 bits either way.
    """

    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Integer())
        return dialect.type_descriptor(_BigInteger())


class Boolean(StrictType[bool]):
    """True or False; not 0, 1 or text."""

    impl = _Boolean
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[bool]:
        return bool

    @override
    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise self.expected("a boolean")
        return value


INT_PK_TYPE = RowId()
"""The type of a numbered primary key, and of columns that hold one."""
