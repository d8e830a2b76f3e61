"""Signals that a process sends itself at a statement of its choice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect


@dataclass(frozen=True)
class Trap:
    """Where a process meets a signal.

    Attributes:
        at: The number of a statement from 1, COMMIT included, or how its text begins; None nowhere.
        after: Whether it is just after the statement, else just before.
        signal: What it sends itself.
        claim: A file: of several processes with the same one, the first alone is caught.
    """

    at: int | str | None = None
    after: bool = False
    signal: signal.Signals = signal.SIGKILL
    claim: Path | None = None


def arm(trap: Trap) -> Callable[[], int]:
    """Set the trap for all that this process will send; return what counts the statements."""
    sent = 0

    def catches(statement: str) -> bool:
        if isinstance(trap.at, str):
            return statement.lstrip().startswith(trap.at)
        return sent == trap.at

    def before(statement: str) -> None:
        nonlocal sent
        sent += 1
        if not trap.after and catches(statement):
            _spring(trap)

    def after(statement: str) -> None:
        if trap.after and catches(statement):
            _spring(trap)

    _watch(before, after)
    return lambda: sent


def _watch(before: Callable[[str], None], after: Callable[[str], None]) -> None:
    event.listen(Engine, "before_cursor_execute", lambda *call: before(call[2]))
    event.listen(Engine, "after_cursor_execute", lambda *call: after(call[2]))
    commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit

    def do_commit(dialect: DefaultDialect, dbapi_connection: Any) -> None:
        before("COMMIT")
        commit(dialect, dbapi_connection)
        after("COMMIT")

    # No event comes after a COMMIT.
    setattr(DefaultDialect, commit.__name__, do_commit)


def _spring(trap: Trap) -> None:
    if trap.claim is None or _claimed(trap.claim):
        os.kill(os.getpid(), trap.signal)


def _claimed(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
