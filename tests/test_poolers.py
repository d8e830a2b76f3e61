from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import make_url

from agentdb import Database, Settings
from agentdb.urls import sync_url

# BackendKeyData: https://www.postgresql.org/docs/current/protocol-message-formats.html
_KEY_DATA = b"K"


@asynccontextmanager
async def proxied(url: str, change: Callable[[bytes], bytes]) -> AsyncGenerator[str]:
    """Yield the URL of a proxy before the server at *url* that changes what the server sends."""
    target = make_url(url)
    folder, port = str(target.query.get("host", "")), target.port or 5432

    async def serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        if folder:
            reader, writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(target.host, port)
        pumps = (pump(client, writer, bytes), pump(reader, answer, change))
        await asyncio.gather(*pumps, return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port_here = server.sockets[0].getsockname()[1]
    here = sync_url(target).set(host="127.0.0.1", port=port_here, query={})
    try:
        yield here.render_as_string(hide_password=False)
    finally:
        server.close()


async def pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, change: Callable[[bytes], bytes]
) -> None:
    """Pass bytes on until the source ends."""
    try:
        while data := await source.read(65536):
            sink.write(change(data))
            await sink.drain()
    finally:
        sink.close()


def another_process(data: bytes) -> bytes:
    """Return the server's bytes with another process id in its key data, as a pooler sends one."""
    at = data.find(_KEY_DATA + struct.pack("!i", 12))
    if at < 0 or not data.startswith(b"R"):
        return data
    return data[: at + 5] + struct.pack("!i", 424242) + data[at + 9 :]


async def threshold(url: str, settings: Settings | None = None) -> Any:
    """Return after how many runs a statement would be prepared."""
    database = Database(url, settings=settings)
    async with database, database.begin_system(reason="test") as uow:
        raw = await (await uow.session.connection()).get_raw_connection()
        driver: Any = raw.driver_connection
        return driver.prepare_threshold


@pytest.mark.agentdb_only("postgres")
async def test_a_server_itself_gets_prepared_statements(agentdb_url: str) -> None:
    """Over a direct connection, and over a proxy that changes nothing, statements are prepared."""
    async with proxied(agentdb_url, bytes) as url:
        assert await threshold(agentdb_url) is not None
        assert await threshold(url) is not None


@pytest.mark.agentdb_only("postgres")
async def test_a_pooler_is_noticed_and_gets_none(agentdb_url: str) -> None:
    """Where another process answers than the one that greeted, nothing is prepared."""
    async with proxied(agentdb_url, another_process) as url:
        assert await threshold(url) is None


@pytest.mark.agentdb_only("postgres")
async def test_the_profile_of_a_pooler_prepares_nothing(agentdb_url: str) -> None:
    """With the profile chosen, no connection prepares statements."""
    assert await threshold(agentdb_url, Settings(pooler="pgbouncer")) is None
