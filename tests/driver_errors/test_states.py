"""What each SQLSTATE means, and what may pass."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from agentdb import Database
from agentdb.driver_errors import may_pass
from agentdb.errors import (
    AgentDBError,
    CorruptDatabaseError,
    DeadlineError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ReferencedError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from agentdb.settings import Settings
from tests.driver_errors.refusals import CANARY, plan, shown

STATES = [
    ("08006", UnavailableError),
    ("0A000", AgentDBError),
    ("22001", ValueTooLongError),
    ("22003", ValueOutOfRangeError),
    ("22012", InvalidValueError),
    ("22P02", InvalidValueError),
    ("23001", ReferencedError),
    ("23502", InvalidValueError),
    ("23503", NotFoundError),
    ("23505", DuplicateError),
    ("23514", InvalidValueError),
    ("25006", UnavailableError),
    ("25P02", AgentDBError),
    ("28000", UnavailableError),
    ("28P01", UnavailableError),
    ("3D000", UnavailableError),
    ("3F000", SchemaVersionError),
    ("40001", TransientError),
    ("40P01", TransientError),
    ("42501", PermissionDeniedError),
    ("42601", AgentDBError),
    ("42703", SchemaVersionError),
    ("42704", SchemaVersionError),
    ("42710", SchemaVersionError),
    ("42P01", SchemaVersionError),
    ("42P07", SchemaVersionError),
    ("53100", UnavailableError),
    ("53200", UnavailableError),
    ("53300", UnavailableError),
    ("55P03", TransientError),
    ("57014", DeadlineError),
    ("57P01", UnavailableError),
    ("57P03", UnavailableError),
    ("58030", UnavailableError),
    ("P0001", AgentDBError),
    ("XX000", AgentDBError),
    ("XX001", CorruptDatabaseError),
    ("XX002", CorruptDatabaseError),
]


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize(("state", "kind"), STATES)
async def test_each_sqlstate_has_its_error(
    agentdb_database: Database, state: str, kind: type[AgentDBError]
) -> None:
    """The class follows from the code alone; what the server says stays out of sight."""
    script = f"DO $$ BEGIN RAISE '{CANARY}' USING ERRCODE = '{state}', DETAIL = '{CANARY}'; END $$"
    with pytest.raises(AgentDBError) as caught:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.session.execute(text(script))

    assert kind is type(caught.value)
    assert CANARY not in shown(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("state", "expected"),
    [("08006", True), ("53300", True), ("57P01", True), ("53100", False), ("28P01", False)],
)
def test_only_what_may_pass_is_tried_again(state: str, expected: bool) -> None:
    """A full disk and a refused log-in stay as they are; a restart does not."""
    error = UnavailableError("x")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})()

    assert expected is may_pass(error)
    assert may_pass(UnavailableError("x", lost=True))
    assert may_pass(UnavailableError("x"))


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_statement_that_takes_too_long_runs_into_its_limit(agentdb_url: str) -> None:
    """The limit of the settings holds in every unit."""
    async with Database(agentdb_url, settings=Settings(statement_timeout=0.05)) as database:
        for _ in range(2):
            with pytest.raises(DeadlineError):
                async with database.begin_system(reason="test") as unit:
                    await unit.session.execute(text("SELECT pg_sleep(10)"))


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_deadlock_is_transient(agentdb_database: Database) -> None:
    """One of the two units is told to run again, the other goes on."""
    async with agentdb_database.begin_system(reason="test") as unit:
        rows = [await unit.billing_plans.add(plan(like=code)) for code in "ab"]
    both = asyncio.Barrier(2)

    async def call(first: UUID, second: UUID) -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
            await unit.billing_plans.require(first, lock=True)
            await both.wait()
            await unit.billing_plans.require(second, lock=True)

    one, two = (row.id for row in rows)
    results = await asyncio.gather(call(one, two), call(two, one), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "TransientError"]
