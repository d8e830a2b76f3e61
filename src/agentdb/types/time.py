"""Instants in UTC, and calendar days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, TypeGuard, cast

from sqlalchemy import Date as _Date
from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from typing_extensions import override

from agentdb.errors import NaiveDatetimeError, ValueOutOfRangeError
from agentdb.types.base import StrictType, are_of

# A day's distance from the ends of Python's range: a driver that reads the instant in the time zone
# of the server's session must be able to represent it there.
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)

_WIDTH = len("2026-01-01 00:00:00.000000")


def utc_now() -> datetime:
    """Return the current instant, aware and in UTC, whatever the time zone of the process."""
    return datetime.now(UTC)


UTC_NOW: Callable[[], datetime] = utc_now
"""The Python-side default of every time stamp."""


class UTCDateTime(StrictType[datetime]):
    """An instant: aware datetimes of any zone in, aware UTC out, microseconds kept.

    PostgreSQL stores a timestamptz; SQLite text of fixed width in UTC, so that both order alike.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[datetime]:
        return datetime

    @override
    def check(self, value: object) -> datetime:
        if not isinstance(value, datetime):
            raise self.expected("a datetime")
        if value.utcoffset() is None:
            raise NaiveDatetimeError("a datetime needs a time zone", **self.place)
        try:
            instant = value.astimezone(UTC)
        except OverflowError:
            instant = None
        if instant is None or not EARLIEST <= instant <= LATEST:
            raise ValueOutOfRangeError("the instant is out of range", **self.place)
        return instant

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[datetime | None]]:
        if not are_of(values, datetime, NoneType):
            return False
        instants = [value for value in cast("Sequence[datetime | None]", values) if value]
        within = all(instant.tzinfo is UTC for instant in instants)
        return within and (not instants or EARLIEST <= min(instants) <= max(instants) <= LATEST)

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        if dialect.name == "postgresql":
            return _in_utc  # the driver has read it, aware
        return _reading_text(super().result_processor(dialect, coltype))

    @override
    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else _in_utc(instant)


def _reading_text(read: Any) -> Callable[[str | None], datetime | None]:
    """Return what reads text as this type stores it at one go, and any other by *read*."""

    def process(value: str | None) -> datetime | None:
        if value is not None and len(value) == _WIDTH:
            try:
                return datetime.fromisoformat(f"{value}+00:00")
            except ValueError:
                pass  # it has an offset, which nobody but others writes
        found: datetime | None = read(value)
        return found

    return process


def _in_utc(instant: datetime | None) -> datetime | None:
    return instant and instant.astimezone(UTC)


class Date(StrictType[date]):
    """A calendar day; a datetime is none."""

    impl = _Date
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[date]:
        return date

    @override
    def check(self, value: object) -> date:
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.expected("a date")
        return value
