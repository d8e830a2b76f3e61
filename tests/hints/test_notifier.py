from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import psycopg
import pytest

from agentdb import Database, Settings
from agentdb.hints.postgresql import Notifier
from agentdb.models import TenantAccount
from agentdb.testing import kill_backend
from agentdb.testing.backends import connect_plainly
from tests.ledger.conversations import begun, places
from tests.ledger.frames import frame
from tests.migrations.polling import eventually

NEVER = 3600.0
"""Seconds between two looks, so that only a hint can wake the tail within a test."""

pytestmark = [pytest.mark.agentdb_commits, pytest.mark.agentdb_only("postgres")]
LISTENS = "LISTEN %"
SENDS = "SELECT pg_notify%"
NOTIFYING = Settings(notify=True)


@pytest.fixture(autouse=True)
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tails with ``poll=NEVER`` wait as long from the first time on."""
    monkeypatch.setattr("agentdb.ledger.tail.FIRST_WAIT", NEVER)


async def append(database: Database, tenant: TenantAccount, *events: int) -> None:
    """Append frames and commit, one unit each."""
    for event in events:
        async with database.begin(tenant=tenant.id) as uow:
            await begun(uow)
            await uow.conversation_ledger_events.append("chat", [frame(event)])


@pytest.fixture
async def writer(agentdb_url: str) -> AsyncIterator[Database]:
    """Yield the database object of a process that writes."""
    async with Database(agentdb_url, settings=NOTIFYING) as database:
        yield database


@pytest.fixture
async def reader(agentdb_url: str) -> AsyncIterator[Database]:
    """Yield the database object of a process that reads."""
    async with Database(agentdb_url, settings=NOTIFYING) as database:
        yield database


def processes(url: str, statement: str) -> list[int]:
    """Return the processes of the server whose last statement is like *statement*."""
    with connect_plainly(url) as connection:
        query = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s"
        )
        return [row[0] for row in connection.execute(query, [statement])]


async def process(url: str, statement: str) -> int:
    """Return such a process once there is one."""
    found = await asyncio.to_thread(eventually, lambda: processes(url, statement))
    return found[0]


async def connect_as_listener(url: str) -> psycopg.AsyncConnection[Any]:
    """Return a connection that hears the hints as they are sent."""
    url = url.replace("postgresql+psycopg://", "postgresql://")
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await connection.execute("LISTEN agentdb")
    return connection


async def test_a_commit_of_another_process_wakes_a_tail(
    writer: Database, reader: Database, agentdb_tenant: TenantAccount
) -> None:
    """The tail does not poll: NOTIFY after COMMIT tells it to look."""
    await append(writer, agentdb_tenant, 1)
    async with reader.tail("chat", tenant=agentdb_tenant.id, poll=NEVER) as tail:
        await anext(tail)
        for event in range(2, 6):
            waiting = asyncio.ensure_future(anext(tail))
            await append(writer, agentdb_tenant, event)
            assert places([await asyncio.wait_for(waiting, 20)]) == [("s1", event)]


async def test_a_lost_listener_is_replaced(
    agentdb_url: str, writer: Database, reader: Database, agentdb_tenant: TenantAccount
) -> None:
    """What was committed while nobody listened is found when somebody does again."""
    await append(writer, agentdb_tenant, 1)
    async with reader.tail("chat", tenant=agentdb_tenant.id, poll=NEVER) as tail:
        await anext(tail)
        waiting = asyncio.ensure_future(anext(tail))
        kill_backend(agentdb_url, await process(agentdb_url, LISTENS))
        await append(writer, agentdb_tenant, 2)

        assert places([await asyncio.wait_for(waiting, 20)]) == [("s1", 2)]


async def test_hints_of_a_burst_are_coalesced(
    agentdb_url: str,
    writer: Database,
    agentdb_tenant: TenantAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is committed before the sender has its connection goes as one hint of the topic."""
    connected = asyncio.Event()
    connect = Notifier._connect

    async def held(notifier: Notifier) -> psycopg.AsyncConnection[Any]:
        await connected.wait()
        return await connect(notifier)

    monkeypatch.setattr(Notifier, "_connect", held)
    async with (
        await connect_as_listener(agentdb_url) as connection,
        aclosing(connection.notifies(timeout=20)) as notices,
    ):
        await append(writer, agentdb_tenant, *range(1, 41))
        connected.set()
        first = await anext(notices)
        await writer.dispose()  # it sends what is left
        with connect_plainly(agentdb_url) as other:
            other.execute("NOTIFY agentdb, 'the last'")
        second = await anext(notices)

    assert first.payload.startswith("frames:")
    assert second.payload == "the last"


async def test_disposing_closes_the_connections_and_they_come_back(
    agentdb_url: str, reader: Database, agentdb_tenant: TenantAccount
) -> None:
    """A database object that is disposed of listens no more, and again when it is used again."""
    await append(reader, agentdb_tenant, 1)
    for event in (2, 3):
        async with reader.tail("chat", tenant=agentdb_tenant.id, poll=NEVER) as tail:
            for _ in range(event - 1):
                await anext(tail)
            waiting = asyncio.ensure_future(anext(tail))
            await process(agentdb_url, LISTENS)
            await append(reader, agentdb_tenant, event)
            assert places([await asyncio.wait_for(waiting, 20)]) == [("s1", event)]
        await reader.dispose()
        assert processes(agentdb_url, LISTENS) == []


async def test_a_lost_sender_is_replaced(
    agentdb_url: str, writer: Database, reader: Database, agentdb_tenant: TenantAccount
) -> None:
    """The unit of work notices nothing, and the hint is sent over the next connection."""
    await append(writer, agentdb_tenant, 1)
    async with reader.tail("chat", tenant=agentdb_tenant.id, poll=NEVER) as tail:
        await anext(tail)
        waiting = asyncio.ensure_future(anext(tail))
        kill_backend(agentdb_url, await process(agentdb_url, SENDS))
        await append(writer, agentdb_tenant, 2)

        assert places([await asyncio.wait_for(waiting, 20)]) == [("s1", 2)]


async def test_without_the_setting_nothing_is_carried(
    agentdb_url: str, agentdb_tenant: TenantAccount
) -> None:
    """The default makes no connection beside the pool."""
    async with Database(agentdb_url) as database:
        await append(database, agentdb_tenant, 1)
        async with database.tail("chat", tenant=agentdb_tenant.id) as tail:
            await anext(tail)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(tail), 0.05)

            assert processes(agentdb_url, LISTENS) == []
            assert processes(agentdb_url, SENDS) == []
