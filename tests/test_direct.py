"""Statements of the hot verbs on their way to the driver."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    delete,
    event,
    insert,
    literal,
    select,
    text,
)

from agentdb import Database, UnitOfWork
from agentdb.errors import AgentDBError, DeadlineError, InvalidValueError, NotFoundError
from agentdb.models import AgentContainer
from agentdb.testing import capture_statements
from agentdb.types import UTCDateTime, Uuid, utc_now, uuid_pk

commits = pytest.mark.agentdb_commits

NUMBER = select(bindparam("number", type_=BigInteger()))
LACKING = text("SELECT lacking FROM agent_messages")


async def test_values_and_rows_pass_through_the_types(agentdb_uow: UnitOfWork) -> None:
    """What goes in comes out as it is, whatever the driver makes of it."""
    key, at = uuid_pk(), utc_now()
    query = select(bindparam("key", type_=Uuid()), bindparam("at", type_=UTCDateTime()), literal(7))
    sent = await agentdb_uow.send((query, {"key": key, "at": at}), (NUMBER, {"number": None}))

    assert sent == [[(key, at, 7)], [(None,)]]
    with pytest.raises(InvalidValueError):
        await agentdb_uow.send((query, {"key": str(key), "at": at}))


async def test_listeners_hear_of_each_statement_and_may_change_it(agentdb_uow: UnitOfWork) -> None:
    """What watches a database sees all of its statements; none takes a way of its own."""
    with capture_statements(agentdb_uow) as seen:
        await agentdb_uow.send((NUMBER, {"number": 1}), (NUMBER, {"number": 2}))

    def explain(_: Any, __: Any, statement: str, values: Any, *___: Any) -> tuple[str, Any]:
        return f"EXPLAIN {statement}", values

    connection: Connection = (await agentdb_uow.session.connection()).sync_connection  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] -- it has begun
    event.listen(connection, "before_cursor_execute", explain, retval=True)
    (changed,) = await agentdb_uow.send((NUMBER, {"number": 1}))
    event.remove(connection, "before_cursor_execute", explain)

    assert len(seen) == 2
    assert changed != [(1,)]


async def test_a_refusal_among_several_undoes_itself(agentdb_uow: UnitOfWork) -> None:
    """It is translated, and in a savepoint it leaves the unit usable."""
    with pytest.raises(AgentDBError) as raised:
        async with agentdb_uow.savepoint():
            await agentdb_uow.send((NUMBER, {"number": 1}), (LACKING, {}), (NUMBER, {"number": 2}))

    assert "lacking" not in str(raised.value)
    assert await agentdb_uow.send((NUMBER, {"number": 3})) == [[(3,)]]


async def test_the_statement_that_failed_tells_what_its_error_means(
    agentdb_uow: UnitOfWork,
) -> None:
    """A foreign key means something else to INSERT than to a DELETE that is sent with it."""
    child = insert(AgentContainer).values(agent_key="a", container_id=uuid4(), tenant_id=uuid4())
    with pytest.raises(NotFoundError):
        async with agentdb_uow.savepoint():
            await agentdb_uow.send((child, {}), (delete(AgentContainer), {}))


@pytest.mark.agentdb_only("postgres")
@commits
async def test_a_time_limit_ends_all_of_them(agentdb_database: Database) -> None:
    """The deadline of the transaction holds in a pipeline, too."""
    slow = text("SELECT pg_sleep(30)")
    async with agentdb_database.begin_system(reason="test") as uow:
        with pytest.raises(DeadlineError):
            async with uow.savepoint():
                await uow.session.execute(text("SET LOCAL statement_timeout = '50ms'"))
                await uow.send((NUMBER, {"number": 1}), (slow, {}))

        assert await uow.send((NUMBER, {"number": 1})) == [[(1,)]]


@pytest.mark.agentdb_only("postgres")
async def test_behind_a_pooler_they_go_one_by_one(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every pooler knows pipelines; the outcome is the same."""
    raw: Any = await (await agentdb_uow.session.connection()).get_raw_connection()
    monkeypatch.setattr(raw.driver_connection, "prepare_threshold", None)
    monkeypatch.setattr(raw.driver_connection, "pipeline", None)
    sent = await agentdb_uow.send((NUMBER, {"number": 1}), (NUMBER, {"number": 2}))

    assert sent == [[(1,)], [(2,)]]
