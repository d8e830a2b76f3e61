"""What a test gets as its database."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from agentdb.engines import make_sync_engine
from agentdb.settings import Settings


class Isolation(ABC):
    """A migrated database of which no other test sees anything."""

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def join(self, engine: AsyncEngine) -> None:
        """Prepare *engine*, whose URL is `url`, before it connects."""

    @abstractmethod
    def sync_engine(self) -> Engine:
        """Return a synchronous engine on the database."""

    @abstractmethod
    def end(self) -> None:
        """Note that the test is over: from here on, connections are only closed."""

    @abstractmethod
    def close(self) -> None:
        """Undo what the test did."""


class OwnDatabase(Isolation):
    """A copy of the template for one test, with ordinary connections; deleted at the end."""

    def __init__(self, url: str, *, on_close: Callable[[str], None]) -> None:
        """Take the copy over.

        Args:
            url: The copy.
            on_close: Deletes it.
        """
        super().__init__(url)
        self._on_close = on_close

    @override
    def join(self, engine: AsyncEngine) -> None:
        """Leave it as it is."""

    @override
    def sync_engine(self) -> Engine:
        return make_sync_engine(self.url, Settings())

    @override
    def end(self) -> None:
        """Do nothing: connections of their own are closed as always."""

    @override
    def close(self) -> None:
        self._on_close(self.url)


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* to its end outside any event loop.

    Fixtures are synchronous, so that they serve pytest-asyncio and anyio alike; the loop of the
    test is out of reach when they end. The drivers look up the running loop at each call.
    """
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(work, 10))
    finally:
        loop.close()
