"""BEGIN, kept back until the first statement of a unit, and COMMIT, sent with the last.

They then take no round trip of their own. A transaction that has sent nothing has seen nothing, so
nobody can tell the difference but by the time that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from agentdb.search_path import literal

_OPENING = "agentdb_opening"
_COMMITTED = "agentdb_committed"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a transaction begins.

    Attributes:
        begin: BEGIN and its mode.
        settings: On PostgreSQL, a SELECT that sets what holds until the transaction ends; its
            parameter is the tenant.
        tenant: The tenant's id; empty where there is none.
    """

    begin: str
    settings: str = ""
    tenant: str = ""

    @property
    def script(self) -> str:
        """Both, as the simple protocol takes them."""
        return f"{self.begin}; {self.settings % literal(self.tenant)}"


def keep_back(connection: Connection, opening: Opening) -> None:
    """Let the first statement on *connection* begin the transaction."""
    connection.info[_OPENING] = opening


def is_kept_back(connection: Connection) -> bool:
    """Whether the transaction begins with its first statement."""
    return _OPENING in connection.info


def take_opening(connection: Connection) -> Opening | None:
    """Return what has to be sent before the next statement; None where it was sent."""
    if connection.invalidated:
        return None
    opening: Opening | None = connection.info.pop(_OPENING, None)
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
