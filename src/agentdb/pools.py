"""The connections of a database: for units of tenants, and past the policies for the system."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from agentdb.driver_errors import READ_ONLY_OPTION, SINGLE_OPTION, orm_errors
from agentdb.engines import make_async_engine
from agentdb.errors import ConfigurationError, UnavailableError
from agentdb.hints import carry_hints, share_hints
from agentdb.postgresql import reads_plainly
from agentdb.search_path import MAP_OPTION
from agentdb.settings import Settings
from agentdb.tenancy.binding import SCOPE_OPTION
from agentdb.tenancy.scope import Scope
from agentdb.urls import async_url, is_memory


class Pools:
    """The engines of one database, for one event loop at a time.

    Attributes:
        main: Of the URL that the service connects by.
        platform: Of the role that row-level security does not bind; None where there is no such.
    """

    def __init__(
        self, url: URL, platform_url: str | URL | None, settings: Settings, schema: str | None
    ) -> None:
        """Prepare the engines; nothing connects.

        Raises:
            ConfigurationError: A URL, its driver or the schema cannot be used.
        """
        self.main = make_async_engine(url, settings, schema=schema)
        self.platform: AsyncEngine | None = None
        if platform_url is not None:
            target = _beside(url, async_url(platform_url))
            self.platform = make_async_engine(target, settings, schema=schema)
            share_hints(self.main.sync_engine, self.platform.sync_engine)
        self._notifier = carry_hints(self.main.sync_engine, url, settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        _pools.add(self)

    def __iter__(self) -> Iterator[AsyncEngine]:
        yield self.main
        if self.platform is not None:
            yield self.platform

    async def begin(
        self, scope: Scope, *, read_only: bool = False, single: bool = False
    ) -> AsyncConnection:
        """Return a connection whose transaction has begun, or begins with its first statement.

        A pooled connection that turns out broken is replaced once.

        Raises:
            UnavailableError: The database cannot be reached or has no connection left.
            ConfigurationError: Another event loop uses the connections.
        """
        await self._follow_loop()
        engine = self.platform if scope.is_system and self.platform is not None else self.main
        options: dict[str, Any] = {
            READ_ONLY_OPTION: read_only,
            SINGLE_OPTION: single,
            SCOPE_OPTION: scope,
        }
        return await _replacing(engine, _begin, options)

    async def look(self, scope: Scope) -> AsyncConnection:
        """Return a connection for single SELECTs of the system.

        Where they mean the same without a transaction there is none; errors as of `begin`.
        """
        await self._follow_loop()
        engine = self.platform or self.main
        options: dict[str, Any] = {READ_ONLY_OPTION: True, SCOPE_OPTION: scope}
        return await _replacing(engine, _look, options)

    async def dispose(self) -> None:
        """Close all idle connections."""
        if self._notifier is not None:
            await self._notifier.close()
        for engine in self:
            await engine.dispose()

    def leave_to_parent(self) -> None:
        """Give a forked child pools of its own; the parent's connections stay the parent's."""
        for engine in self:
            engine.sync_engine.dispose(close=False)

    async def _follow_loop(self) -> None:
        """Leave the connections of an event loop that has ended; refuse a second that runs."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and self._loop.is_running() and self._pid == os.getpid():
            raise ConfigurationError("a Database serves one event loop: make one for each")
        known, self._loop, self._pid = self._loop, loop, os.getpid()
        if known is not None and not is_memory(self.main.url):
            for engine in self:
                await engine.dispose()


async def _replacing(
    engine: AsyncEngine,
    connect: Callable[[AsyncEngine, dict[str, Any]], Connection],
    options: dict[str, Any],
) -> AsyncConnection:
    for last in (False, True):
        try:
            with orm_errors():
                return AsyncConnection(engine, await greenlet_spawn(connect, engine, options))
        except UnavailableError as error:
            if last or not error.lost:
                raise
    raise AssertionError  # the last try returned or raised


def _look(engine: AsyncEngine, options: dict[str, Any]) -> Connection:
    mapped = MAP_OPTION in engine.sync_engine.get_execution_options()
    if engine.dialect.name == "postgresql" and not mapped:
        connection = engine.sync_engine.connect()
        if reads_plainly(connection):
            return connection
        connection.close()
    return _begin(engine, options)


def _begin(engine: AsyncEngine, options: dict[str, Any]) -> Connection:
    """Check out and begin at one go: each call of an `AsyncConnection` is a greenlet of its own."""
    connection = engine.sync_engine.connect().execution_options(**options)
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _beside(url: URL, platform_url: URL) -> URL:
    """Return the URL of the platform role, which has to lead to a PostgreSQL database as well.

    Raises:
        ConfigurationError: One of them is SQLite, which has no roles.
    """
    if {url.get_backend_name(), platform_url.get_backend_name()} != {"postgresql"}:
        raise ConfigurationError("platform_url is for PostgreSQL: SQLite has no roles")
    return platform_url


_pools: WeakSet[Pools] = WeakSet()


def _after_fork() -> None:
    for pools in list(_pools):
        pools.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
