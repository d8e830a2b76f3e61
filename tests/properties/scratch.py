"""One table with a column of each portable type, on both databases, and what becomes of a value."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from agentdb.driver_errors import orm_errors
from agentdb.types import (
    INT_PK_TYPE,
    BigInteger,
    Boolean,
    Choice,
    CITEXTCompat,
    Date,
    Integer,
    JSONBCompat,
    JSONCompat,
    LargeBinary,
    NativeEnum,
    String,
    Text,
    UTCDateTime,
    Uuid,
    uuid_pk,
)


class Mood(StrEnum):
    """Labels for a native enumeration."""

    CALM = "calm"
    LOUD = "very loud"


class Base(DeclarativeBase):
    """A base of its own: the table is none of agentdb's."""


class Scratch(Base):
    """A row with one value under test."""

    __tablename__ = "scratch"

    number: Mapped[int] = mapped_column(INT_PK_TYPE, primary_key=True, autoincrement=True)
    string: Mapped[str | None] = mapped_column(String(8))
    unbounded: Mapped[str | None] = mapped_column(String())
    text: Mapped[str | None] = mapped_column(Text())
    citext: Mapped[str | None] = mapped_column(CITEXTCompat())
    choice: Mapped[str | None] = mapped_column(Choice(("on", "off"), 8))
    mood: Mapped[Mood | None] = mapped_column(NativeEnum(Mood, "mood"))
    integer: Mapped[int | None] = mapped_column(Integer())
    big: Mapped[int | None] = mapped_column(BigInteger())
    row_id: Mapped[int | None] = mapped_column(INT_PK_TYPE)
    boolean: Mapped[bool | None] = mapped_column(Boolean())
    uuid: Mapped[UUID | None] = mapped_column(Uuid())
    drawn: Mapped[UUID | None] = mapped_column(Uuid(), insert_default=uuid_pk)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary())
    instant: Mapped[datetime | None] = mapped_column(UTCDateTime())
    day: Mapped[date | None] = mapped_column(Date())
    jsonb: Mapped[Any] = mapped_column(JSONBCompat(), nullable=True)
    json: Mapped[Any] = mapped_column(JSONCompat(), nullable=True)


TABLE = Base.metadata.tables["scratch"]


@dataclass(frozen=True)
class Outcome:
    """What became of a value: it was read back, or an error was raised.

    Attributes:
        value: As it was read; None for an error.
        error: Class of the error.
    """

    value: Any = None
    error: type[Exception] | None = None

    def __eq__(self, other: object) -> bool:
        """Compare types too: 1, 1.0 and True are equal in Python."""
        if not isinstance(other, Outcome):
            return NotImplemented
        return self.error is other.error and same(self.value, other.value)

    def __hash__(self) -> int:
        return hash(self.error)


def same(left: object, right: object) -> bool:
    """Whether two values are equal, of equal types all the way down."""
    return left == right and _types(left) == _types(right)


def _types(value: Any) -> Any:
    """Return the types of a value and of all that it holds, in its shape."""
    children: Callable[[], Any] | None = getattr(value, "items", None)
    if children is not None:
        return {key: _types(child) for key, child in children()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value.__class__
    return [_types(child) for child in value]


def _by_core(session: Session, column: str, value: Any) -> None:
    session.connection().execute(insert(TABLE), {column: value})


def _by_many(session: Session, column: str, value: Any) -> None:
    session.connection().execute(insert(TABLE), [{column: None}, {column: value}])


def _by_values(session: Session, column: str, value: Any) -> None:
    session.connection().execute(insert(TABLE).values([{column: None}, {column: value}]))


def _by_flush(session: Session, column: str, value: Any) -> None:
    session.add(Scratch(**{column: value}))
    session.flush()


def _by_bulk(session: Session, column: str, value: Any) -> None:
    session.execute(insert(Scratch), [{column: None}, {column: value}])


def _by_update(session: Session, column: str, value: Any) -> None:
    session.connection().execute(insert(TABLE), {"string": "x"})
    session.connection().execute(TABLE.update().values({column: value}))


PATHS: dict[str, Callable[[Session, str, Any], None]] = {
    "insert": _by_core,
    "executemany": _by_many,
    "insert of values": _by_values,
    "flush": _by_flush,
    "bulk insert": _by_bulk,
    "update": _by_update,
}
"""The ways by which a value reaches the database."""


def outcome(connection: Connection, column: str, value: Any, path: str) -> Outcome:
    """Write *value* to a column, read it back, and undo it."""
    last = select(TABLE.c[column]).order_by(TABLE.c.number.desc()).limit(1)
    with undone(connection) as session:
        try:
            with orm_errors():
                PATHS[path](session, column, value)
            return Outcome(value=session.connection().execute(last).scalar_one())
        except Exception as error:  # noqa: BLE001 - whatever is raised is the outcome
            return Outcome(error=type(error))


def is_null(connection: Connection, column: str, value: Any, path: str) -> bool:
    """Whether *value* is stored as SQL NULL, as the database itself sees it."""
    query = text(f"SELECT count(*) FROM scratch WHERE {column} IS NOT NULL")
    with undone(connection) as session:
        PATHS[path](session, column, value)
        found: int = session.connection().execute(query).scalar_one()
        return found == 0


@contextmanager
def undone(connection: Connection) -> Generator[Session]:
    """Yield a session in a transaction that is rolled back."""
    with Session(connection) as session:
        yield session
    connection.rollback()
