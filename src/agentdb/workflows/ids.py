"""The ids of runs and steps, which hosts may choose."""

from __future__ import annotations

from agentdb.checks import check_text
from agentdb.errors import ValueTooLongError
from agentdb.types import uuid_pk


def checked_id(given: str | None, table: str, longest: int | None = None) -> str:
    """Return the id of a new row: the one that is given, else a new UUID.

    Raises:
        InvalidValueError: It is empty or no text.
        ValueTooLongError: It has more than *longest* characters.
    """
    if given is None:
        return str(uuid_pk())
    check_text(given, "an id")
    if longest is not None and len(given) > longest:
        message = f"an id of a run has at most {longest} characters"
        raise ValueTooLongError(message, limit=longest, table=table, column="id")
    return given
