"""The SQL that a block of a test sends, and budgets for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from agentdb.database import Database
from agentdb.unit import Unit

Sender: TypeAlias = (
    Database | Unit | AsyncEngine | Engine | AsyncSession | Session | AsyncConnection | Connection
)
"""What sends statements: each stands for its engine."""

_CONTROL = (
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "PRAGMA",
    "SET ",
    "SHOW ",
    "SELECT set_config(",
    "SELECT pg_catalog.version()",
    "SELECT current_schema()",
)
"""How statements begin that neither read nor write rows: transactions, settings, first contact."""


class Queries(Protocol):
    """The fixture ``agentdb_queries``: ``with agentdb_queries(max=3) as seen:``."""

    def __call__(self, *, max: int) -> AbstractContextManager[list[str]]:  # noqa: A002 -- reads well
        """Begin a block that may send *max* statements."""
        ...


@contextmanager
def capture_statements(
    sender: Sender | None = None, *, control: bool = False
) -> Generator[list[str]]:
    """Yield a list that fills with the statements of the block, in the order of their sending.

    It holds their text on one line with placeholders, never the values of parameters. A statement
    for many rows stands there as often as it is sent, which is once for each batch.

    Args:
        sender: Whose engine is listened to; None for all engines of the process, those too that
            the code under test makes itself. What goes past SQLAlchemy is not seen.
        control: Whether BEGIN, COMMIT, savepoints and settings are listed too, as far as they go
            through SQLAlchemy.
    """
    engine = Engine if sender is None else engine_of(sender)
    sent: list[str] = []

    def remember(_: object, __: object, statement: str, *___: object) -> None:
        line = " ".join(statement.split())
        if control or not is_control(line):
            sent.append(line)

    event.listen(engine, "before_cursor_execute", remember)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", remember)


@contextmanager
def limit_statements(
    sender: Sender | None = None,
    *,
    max: int,  # noqa: A002 -- reads well
) -> Generator[list[str]]:
    """Fail if the block sends more than *max* statements; see `capture_statements`.

    BEGIN, COMMIT, savepoints and settings do not count. A block that raises is not judged.

    Raises:
        AssertionError: There were more; the message lists them.
    """
    with capture_statements(sender) as sent:
        yield sent
    if len(sent) > max:
        listed = "".join(f"\n{number:4}. {line}" for number, line in enumerate(sent, 1))
        raise AssertionError(f"{len(sent)} statements were sent, at most {max} expected:{listed}")


def engine_of(sender: Sender) -> Engine:
    """Return the synchronous engine behind *sender*."""
    found = sender
    if isinstance(found, Database):
        found = found.engine
    elif isinstance(found, Unit):
        found = found.session
    if isinstance(found, AsyncSession):
        found = found.sync_session
    if isinstance(found, Session):
        found = found.get_bind()
    if isinstance(found, AsyncEngine | AsyncConnection):
        return found.sync_engine if isinstance(found, AsyncEngine) else found.engine.sync_engine
    return found.engine


def is_control(line: str) -> bool:
    """Tell whether a statement is about the transaction or a setting, not about rows."""
    return line.upper().startswith(tuple(start.upper() for start in _CONTROL))
