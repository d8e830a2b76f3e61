"""BEGIN, kept back until the first statement of a unit, and COMMIT, sent with the last.

They then take no round trip of their own. A transaction that has sent nothing has seen nothing, so
nobody can tell the difference but by the time that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event

from agentdb.search_path import literal

_OPENING = "agentdb_opening"
_COMMITTED = "agentdb_committed"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a transaction begins.

    Attributes:
        begin: BEGIN and its mode.
        send: Sends a script that no statement has taken along.
        settings: On PostgreSQL, a SELECT that sets what holds until the transaction ends; its
            parameter is the tenant.
        tenant: The tenant's id; empty where there is none.
    """

    begin: str
    send: Callable[[Connection, str], None]
    settings: str = ""
    tenant: str = ""

    @property
    def script(self) -> str:
        """All of it, as the simple protocol takes it."""
        settings = f"; {self.settings % literal(self.tenant)}" if self.settings else ""
        return f"{self.begin}{settings}"


def keep_back(connection: Connection, opening: Opening) -> None:
    """Let the first statement on *connection* begin the transaction."""
    connection.info[_OPENING] = opening


def open_late(engine: Engine) -> None:
    """Send on *engine* what was kept back, before a statement that does not take it along."""

    @event.listens_for(engine, "before_cursor_execute")
    def open_first(connection: Connection, cursor: object, *_: object) -> None:
        # What is sent without a cursor of SQLAlchemy takes it along.
        if cursor is not None:
            open_now(connection)

    def forget(connection: Connection) -> None:
        take_opening(connection)

    event.listen(engine, "commit", forget)
    event.listen(engine, "rollback", forget)


def open_now(connection: Connection) -> None:
    """Send BEGIN, if it still waits for the first statement."""
    opening = take_opening(connection)
    if opening is not None:
        opening.send(connection, opening.script)


def is_kept_back(connection: Connection) -> bool:
    """Whether the transaction begins with its first statement."""
    return _OPENING in connection.info


def see_opening(connection: Connection) -> Opening | None:
    """Return what has to be sent before the next statement; None where it was sent."""
    opening: Opening | None = None if connection.invalidated else connection.info.get(_OPENING)
    return opening


def take_opening(connection: Connection) -> Opening | None:
    """Return the same, for the caller to send."""
    opening = see_opening(connection)
    if opening is not None:
        del connection.info[_OPENING]
    return opening


def note_commit(connection: Connection) -> None:
    """Take note that COMMIT has gone with the last statement: the next one sends nothing."""
    connection.info[_COMMITTED] = True


def stands(connection: Connection, *, is_open: bool) -> bool:
    """Whether COMMIT does what it says: there is something to commit, or nothing was done yet.

    Args:
        connection: The connection.
        is_open: Whether the database has a transaction for it that has not failed.
    """
    return bool(connection.info.pop(_COMMITTED, False)) or is_open or is_kept_back(connection)
