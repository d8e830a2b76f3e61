from __future__ import annotations

import struct
from typing import Any

import pytest

from agentdb import Database, Settings
from agentdb.testing import FaultProxy, Message

ANOTHER = struct.pack("!i", 424242)


def another_process(message: Message) -> Message:
    """Return a message with another process id if it is key data, as a pooler sends one."""
    # BackendKeyData: https://www.postgresql.org/docs/current/protocol-message-formats.html
    return message._replace(body=ANOTHER + message.body[4:]) if message.kind == b"K" else message


async def threshold(url: str, settings: Settings | None = None) -> Any:
    """Return after how many runs a statement would be prepared."""
    database = Database(url, settings=settings)
    async with database, database.begin_system(reason="test") as uow:
        raw = await (await uow.session.connection()).get_raw_connection()
        driver: Any = raw.driver_connection
        return driver.prepare_threshold


async def test_a_server_itself_gets_prepared_statements(
    agentdb_url: str, agentdb_fault_proxy: FaultProxy
) -> None:
    """Over a direct connection, and over a proxy that changes nothing, statements are prepared."""
    assert await threshold(agentdb_url) is not None
    assert await threshold(agentdb_fault_proxy.url) is not None


async def test_a_pooler_is_noticed_and_gets_none(agentdb_fault_proxy: FaultProxy) -> None:
    """Where another process answers than the one that greeted, nothing is prepared."""
    agentdb_fault_proxy.rewrite(another_process)

    assert await threshold(agentdb_fault_proxy.url) is None


@pytest.mark.agentdb_only("postgres")
async def test_the_profile_of_a_pooler_prepares_nothing(agentdb_url: str) -> None:
    """With the profile chosen, no connection prepares statements."""
    assert await threshold(agentdb_url, Settings(pooler="pgbouncer")) is None
