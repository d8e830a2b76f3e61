"""BEGIN, kept back until the first statement of a unit: both then take one round trip.

A transaction that has sent nothing has seen nothing, so nobody can tell the difference but by the
time that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from agentdb.search_path import literal

_OPENING = "agentdb_opening"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a transaction on PostgreSQL begins.

    Attributes:
        begin: BEGIN and its mode.
        settings: A SELECT that sets what holds until the transaction ends; its parameter is the
            tenant.
        tenant: The tenant's id; empty where there is none.
    """

    begin: str
    settings: str
    tenant: str

    @property
    def script(self) -> str:
        """Both, as the simple protocol takes them."""
        return f"{self.begin}; {self.settings % literal(self.tenant)}"


def keep_back(connection: Connection, opening: Opening) -> None:
    """Let the first statement on *connection* begin the transaction."""
    connection.info[_OPENING] = opening


def take_opening(connection: Connection) -> Opening | None:
    """Return what has to be sent before the next statement; None where it was sent."""
    if connection.invalidated:
        return None
    opening: Opening | None = connection.info.pop(_OPENING, None)
    return opening
