"""What a test sees of the traffic between agentdb and its database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")


@contextmanager
def statements(engine: AsyncEngine) -> Generator[list[str]]:
    """Yield a list that fills with the statements of the block that touch rows."""
    sent: list[str] = []

    def remember(*arguments: Any) -> None:
        statement = " ".join(str(arguments[2]).split())
        if not statement.startswith(_CONTROL):
            sent.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", remember)
