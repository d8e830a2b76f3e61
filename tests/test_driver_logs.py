from __future__ import annotations

import logging

import pytest
from sqlalchemy import create_engine, text

from agentdb import Database
from agentdb.driver_logs import hide_values

CANARY = "sk-canary"


@pytest.fixture(autouse=True)
def verbose(caplog: pytest.LogCaptureFixture) -> None:
    """Let the drivers log all that they log."""
    for logger in ("aiosqlite", "psycopg", "sqlalchemy"):
        caplog.set_level(logging.DEBUG, logger=logger)


async def test_the_logs_tell_what_was_run_and_not_with_what(
    agentdb_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Statements are there, and how many rows they gave; values are not."""
    async with agentdb_database.begin_system(reason="test") as unit:
        await unit.tenant_accounts.create(CANARY, CANARY)
        found = await unit.tenant_accounts.all()

    assert [tenant.slug for tenant in found] == [CANARY]
    assert "INSERT INTO tenant_accounts" in caplog.text
    assert "Row '[hidden]'" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.agentdb_only("sqlite")
async def test_the_thread_of_a_driver_tells_what_it_calls(
    agentdb_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """By name, without the arguments, which are the statement and its parameters."""
    async with agentdb_database.begin_system(reason="test") as unit:
        await unit.tenant_accounts.create(CANARY, CANARY)
    told = [r.getMessage() for r in caplog.records if r.name == "aiosqlite"]

    assert "executing execute([hidden])" in told
    assert not any("INSERT" in message for message in told)


def test_the_rows_of_a_host_are_its_own_to_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its engines have other loggers, and may have parameters that help."""
    engine = create_engine("sqlite://", echo="debug")
    with engine.connect() as connection:
        connection.execute(text("SELECT :value"), {"value": "of the host"}).all()
    engine.dispose()

    assert "Row ('of the host',)" in caplog.text


def test_hiding_again_adds_nothing() -> None:
    """However many engines a process makes."""
    hide_values()
    before = list(logging.getLogger("aiosqlite").filters)
    hide_values()

    assert logging.getLogger("aiosqlite").filters == before
    assert len(before) == 1
