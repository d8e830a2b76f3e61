"""Hints within a process.

A hint may be lost or wrong: polling is the truth. It is given after COMMIT, and the unit that has
committed does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session

from agentdb.tenancy.predicates import model_of
from agentdb.unit import Unit

_HINTED = "agentdb_hinted"


class Hints:
    """Who waits in this process, and for what.

    Attributes:
        forward: Is told of each topic that was committed, where hints go to other processes too.
        listen: Is called when somebody begins to wait, where hints come from other processes too.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.forward: Callable[[str], None] | None = None
        self.listen: Callable[[], None] | None = None

    @contextmanager
    def waiting(self, topic: str, look: asyncio.Event) -> Generator[None]:
        """Set *look* at each hint of *topic* while the block runs."""
        if self.listen is not None:
            self.listen()
        self._waiting.setdefault(topic, set()).add(look)
        try:
            yield
        finally:
            events = self._waiting[topic]
            events.remove(look)
            if not events:
                del self._waiting[topic]

    def wake(self, topic: str) -> None:
        """Wake who waits here for *topic*."""
        for look in self._waiting.get(topic, ()):
            look.set()

    def wake_all(self) -> None:
        """Wake everybody who waits here: hints may have been missed."""
        for topic in self._waiting:
            self.wake(topic)

    def committed(self, topic: str) -> None:
        """Give a hint here, and to other processes if hints go there."""
        self.wake(topic)
        if self.forward is not None:
            self.forward(topic)


_hints: WeakKeyDictionary[Engine, Hints] = WeakKeyDictionary()


def hints_of(engine: Engine) -> Hints:
    """Return the hints that units of work on *engine* give."""
    return _hints.setdefault(engine, Hints())


def share_hints(engine: Engine, other: Engine) -> None:
    """Give the hints of units on *other* to those who wait for units on *engine*."""
    _hints[other] = hints_of(engine)


def hint_after_commit(unit: Unit, topic: str) -> None:
    """Give a hint of *topic* when the unit has committed; once, however often it is called."""
    if unit.hinted is not None:
        unit.hinted.add(topic)
        return
    session = unit.session.sync_session
    if _HINTED not in session.info:
        session.info[_HINTED] = set()
        event.listen(session, "after_commit", _after_commit)
    session.info[_HINTED].add(topic)


def _after_commit(session: Session) -> None:
    topics: set[str] = session.info.get(_HINTED, set())
    if not topics or session.in_nested_transaction():
        return  # nothing to tell yet: it was the release of a savepoint
    bind: Any = session.get_bind(model_of("tenant_accounts"))
    engine: Engine = bind.engine if isinstance(bind, Connection) else bind
    while topics:
        hints_of(engine).committed(topics.pop())
