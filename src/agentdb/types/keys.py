"""UUID keys, byte strings and native enumerations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum, StrEnum
from types import NoneType
from typing import Any, TypeGuard, TypeVar
from uuid import UUID

from sqlalchemy import Enum as _Enum
from sqlalchemy import LargeBinary as _LargeBinary
from sqlalchemy import Uuid as _Uuid
from sqlalchemy.engine import Dialect
from typing_extensions import override

from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types.base import StrictType, are_of

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils.compat import uuid7

E = TypeVar("E", bound=StrEnum)

MAX_BYTES = 16 * 1024 * 1024
"""Bytes that a binary column takes: encrypted secrets and addresses are far smaller."""


def uuid_pk() -> UUID:
    """Return a new primary key: a UUIDv7, whose order is the order of creation.

    New rows so land at the right edge of the index: RFC 9562, section 6.13.
    """
    return uuid7()


class Uuid(StrictType[UUID]):
    """A UUID object; text that looks like one is refused."""

    impl = _Uuid
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[UUID]:
        return UUID

    @override
    def check(self, value: object) -> UUID:
        if not isinstance(value, UUID):
            raise self.expected("a UUID")
        return value

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[UUID | None]]:
        return are_of(values, UUID, NoneType)


class LargeBinary(StrictType[bytes]):
    """Bytes; text and buffers are refused."""

    impl = _LargeBinary
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[bytes]:
        return bytes

    @override
    def check(self, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise self.expected("bytes")
        if len(value) > MAX_BYTES:
            raise ValueTooLongError(f"at most {MAX_BYTES} bytes", limit=MAX_BYTES, **self.place)
        return value


def labels_of(members: type[Enum]) -> list[str]:
    """Return the values of an enumeration, which are what the database stores."""
    return [str(member.value) for member in members]


class NativeEnum(StrictType[E]):
    """An enumeration type of PostgreSQL, text on SQLite; stored by value.

    A label that this release does not know is refused on write; stored by a newer release, it is
    read as plain text.
    """

    impl = _Enum
    cache_ok = True

    def __init__(self, members: type[E], name: str) -> None:
        super().__init__(members, name=name, values_callable=labels_of)
        self.members = members
        self.name = name

    @property
    @override
    def python_type(self) -> type[E]:
        return self.members

    @override
    def check(self, value: object) -> E:
        for member in self.members:
            if value == member.value:
                return member
        labels = ", ".join(labels_of(self.members))
        raise InvalidValueError(f"expects one of {labels}", **self.place)

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        known = {member.value: member for member in self.members}

        def process(value: Any) -> Any:
            # Enum's own processor raises a LookupError for a label of a newer release.
            return None if value is None else known.get(value, value)

        return process
