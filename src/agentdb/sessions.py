"""The session of a unit of work that is not the host's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from agentdb.openings import open_now


class UnitSession(Session):
    """A session that serves one unit of work.

    What confines and guards it, and what it tells, listens to the class, once for the process: to
    listen to a session costs more than a statement. Sessions of a host are listened to one by one.
    """

    def connection(self, *arguments: Any, **options: Any) -> Connection:
        """Return the connection, its transaction begun: who asks for it may go past SQLAlchemy."""
        connection = super().connection(*arguments, **options)
        open_now(connection)
        return connection
