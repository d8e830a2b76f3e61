"""Statements to PostgreSQL in one pipeline, on the parts of the driver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from agentdb.pipelines import run_pipeline
from tests.worker.queue import until

pytestmark = pytest.mark.agentdb_only("postgres")

PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest_asyncio.fixture
async def driver(agentdb_empty_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of the driver that begins no transaction by itself."""
    connection = await psycopg.AsyncConnection.connect(agentdb_empty_url, autocommit=True)
    async with connection:
        yield connection


def command(text: str, *parameters: Any) -> Any:
    """Return a statement as it is sent."""
    return SimpleNamespace(text=text, parameters=parameters, is_done=False)


async def one(driver: Any, text: str, *parameters: Any) -> Any:
    """Return the one value that a statement answers."""
    ((row,),) = await run_pipeline(driver, [command(text, *parameters)])
    return row[0]


async def test_a_statement_that_comes_often_is_prepared_once(
    driver: psycopg.AsyncConnection[Any],
) -> None:
    """Also where it comes twice in the round trip that prepares it; cursors share it."""
    driver.prepare_threshold = 2
    twice = [command("SELECT %s::int + 1", 1), command("SELECT %s::int + 1", 2)]
    for _ in range(3):
        assert await run_pipeline(driver, twice) == [[(2,)], [(3,)]]
    for _ in range(3):
        await driver.execute("SELECT %s::int + 1", [1])

    assert await one(driver, PREPARED) == 1


async def test_the_oldest_prepared_statement_is_given_up(
    driver: psycopg.AsyncConnection[Any],
) -> None:
    """The server keeps as many as the driver knows."""
    driver.prepare_threshold, driver.prepared_max = 0, 3
    for number in range(10):
        assert await one(driver, f"SELECT {number} + %s", 1) == number + 1

    assert await one(driver, PREPARED) <= driver.prepared_max + 1


async def test_a_failure_is_told_whatever_is_to_be_given_up(
    driver: psycopg.AsyncConnection[Any],
) -> None:
    """In a transaction that failed nothing else can be sent."""
    driver.prepare_threshold, driver.prepared_max = 0, 1
    sent = [command("BEGIN"), command("SELECT %s", 1), command("SELECT 1 / %s::int", 0)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        await run_pipeline(driver, sent)

    await driver.rollback()
    assert await one(driver, "SELECT %s", 1) == 1


async def test_after_a_failure_nothing_unprepared_is_taken_for_prepared(
    driver: psycopg.AsyncConnection[Any],
) -> None:
    """What was to be prepared behind the statement that failed, or is that statement, was not."""
    driver.prepare_threshold = 0
    broken, later = command("SELECT 1 / %s::int", 0), command("SELECT %s::int", 7)
    sent = [command("SELECT 1"), broken, later]
    with pytest.raises(psycopg.errors.DivisionByZero):
        await run_pipeline(driver, sent)

    assert [each.is_done for each in sent] == [True, False, False]
    assert await run_pipeline(driver, [later]) == [[(7,)]]
    assert await one(driver, broken.text, 1) == 1


async def test_a_value_that_is_refused_leaves_the_connection_as_it_was(
    driver: psycopg.AsyncConnection[Any],
) -> None:
    """Nothing of the pipeline is sent."""
    with pytest.raises(psycopg.DataError):
        await run_pipeline(driver, [command("CREATE TABLE t ()"), command("SELECT %s", "\0")])

    assert await one(driver, "SELECT to_regclass('t')::text") is None
    assert driver.info.transaction_status.name == "IDLE"


async def test_large_statements_and_answers_pass(driver: psycopg.AsyncConnection[Any]) -> None:
    """Neither side waits for the other to read: each is larger than any buffer of the socket."""
    large = "x" * 8_000_000
    echo = command("SELECT %s::text", large)

    assert await run_pipeline(driver, [echo, echo]) == [[(large,)], [(large,)]]


async def test_a_driver_that_begins_by_itself_still_does(agentdb_empty_url: str) -> None:
    """As for an engine of a host."""
    connection = await psycopg.AsyncConnection.connect(agentdb_empty_url)
    async with connection:
        await run_pipeline(connection, [command("SELECT 1")])
        assert connection.info.transaction_status.name == "INTRANS"


async def test_what_a_cancelled_task_has_sent_is_cancelled(
    driver: psycopg.AsyncConnection[Any], agentdb_empty_url: str
) -> None:
    """The server does not go on with it, and the connection is out of the pipeline."""
    task = asyncio.create_task(run_pipeline(driver, [command("SELECT pg_sleep(600)")]))
    other = await psycopg.AsyncConnection.connect(agentdb_empty_url, autocommit=True)
    async with other:
        state = "SELECT state FROM pg_stat_activity WHERE pid = %s"

        async def sleeps() -> bool:
            return bool(await one(other, state, driver.info.backend_pid) == "active")

        await until(sleeps)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await sleeps()
    assert await one(driver, "SELECT 1") == 1


async def test_a_lost_connection_is_told(driver: psycopg.AsyncConnection[Any]) -> None:
    """Before and while the answers are awaited."""
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await run_pipeline(driver, [command(end), command("SELECT 1")])
