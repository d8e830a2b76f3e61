"""The session of a unit of work that is not the host's."""

from sqlalchemy.orm import Session


class UnitSession(Session):
    """A session that serves one unit of work.

    What confines and guards it, and what it tells, listens to the class, once for the process: to
    listen to a session costs more than a statement. Sessions of a host are listened to one by one.
    """
