"""How the databases run the statements of the ledger: by index, whatever is stored beside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Result, Select, Update, select

from agentdb import UnitOfWork
from agentdb.conversations.statements import newest_frame
from agentdb.direct import Call, Row, Rows
from agentdb.ledger import statements
from agentdb.ledger.payloads import locate_objects
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger, delete_conversation, truncate_from
from agentdb.tenancy import CONFINED
from agentdb.testing import Plan, explain
from tests.ledger.conversations import asked, begun
from tests.ledger.frames import frame, frames

pytestmark = pytest.mark.agentdb_plans

Verb = Callable[[UnitOfWork], Awaitable[object]]


@pytest.fixture
async def unit(agentdb_uow: UnitOfWork) -> UnitOfWork:
    """Return a unit in which three conversations have frames, citations, runs and objects."""
    store = MemoryObjectStore()
    for key in ("chat", "second", "third"):
        conversation = await begun(agentdb_uow, key)
        await asked(agentdb_uow, conversation)
        workflow = {"workflow_run_id": f"run-{key}"}
        given = [
            *frames(30),
            frame(31, kind="message.citation", workflow=workflow),
            frame(32, text="x" * 900),
        ]
        await append_ledger(agentdb_uow, conversation, given, store=store, inline_limit=800)
    return agentdb_uow


async def plans_of(unit: UnitOfWork, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Return the plans of what a verb reads and updates past the filter.

    Left out are updates with parameters, which cannot be bound in advance: those of the queue.
    """
    plans: list[Plan] = []
    execute, send = unit.execute, unit.send

    async def note(statement: Any, parameters: Mapping[str, Any] | Rows | None) -> None:
        kind: Any = statement.__class__
        if isinstance(parameters, Rows):
            return  # an insert
        if kind is Select or (kind is Update and not parameters):
            bound = statement.params(parameters) if parameters else statement
            plans.append(await explain(unit, bound.execution_options(**{CONFINED: True})))

    async def explained(statement: Any, parameters: dict[str, Any] | None = None) -> Result[Any]:
        await note(statement, parameters)
        return await execute(statement, parameters)

    async def explained_all(*calls: Call, **options: Any) -> list[list[Row]]:
        for statement, parameters in calls:
            await note(statement, parameters)
        return await send(*calls, **options)

    monkeypatch.setattr(unit, "execute", explained)
    monkeypatch.setattr(unit, "send", explained_all)
    await verb(unit)
    return plans


async def replay(unit: UnitOfWork, *, limit: int = 2, **options: Any) -> object:
    """Read a page from the beginning and the one that follows."""
    ledger = unit.conversation_ledger_events
    page = await ledger.replay("chat", limit=limit, **options)
    return await ledger.replay("chat", limit=limit, after=page.cursor, **options)


async def payload(unit: UnitOfWork) -> object:
    """Read a frame by its row."""
    page = await unit.conversation_ledger_events.replay("chat", limit=1)
    return await unit.conversation_ledger_events.payload(page.items[0].id)


async def replay_spilled(unit: UnitOfWork) -> object:
    """Read a page with the object of a frame."""
    ledger = unit.conversation_ledger_events
    found = await ledger.replay("chat")
    return await locate_objects(unit, found)


async def message_of(unit: UnitOfWork) -> int:
    """Return the message of the user."""
    return (await unit.agent_messages.transcript("chat")).items[0].id


async def truncate(unit: UnitOfWork) -> object:
    """Cut the conversation at its first message."""
    return await truncate_from(unit, "chat", await message_of(unit), cancel_queue=True)


VERBS: dict[str, tuple[Verb, str]] = {
    "replay": (replay, "ix_conversation_ledger_events_tenant_conversation_id_id"),
    "resume": (
        lambda unit: unit.conversation_ledger_events.resume("chat", "s1", 7),
        "uq_conversation_ledger_events_frame",
    ),
    "not stored yet": (
        lambda unit: unit.conversation_ledger_events.resume("chat", "s1", 99),
        "uq_conversation_ledger_events_frame",
    ),
    "run": (
        lambda unit: replay(unit, workflow_run_id="run-chat"),
        "ix_conversation_ledger_events_workflow_run",
    ),
    "kinds": (
        lambda unit: replay(unit, kinds=["final"]),
        "ix_conversation_ledger_events_tenant_conversation_id_id",
    ),
    "citation": (
        lambda unit: unit.conversation_ledger_events.cites_container_file("chat", "c", "f"),
        "ix_conversation_ledger_events_citation",
    ),
    "payload": (payload, "pk_storage_objects"),
    "spilled": (replay_spilled, "pk_storage_objects"),
    "retry": (
        lambda unit: append_ledger(unit, "chat", frames(5)),
        "uq_conversation_ledger_events_frame",
    ),
    "truncation": (truncate, "ix_conversation_ledger_events_segment_id"),
    "deletion": (
        lambda unit: delete_conversation(unit, "chat"),
        "pk_storage_objects",
    ),
}


@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_reads_by_index(
    unit: UnitOfWork, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement reads a table from end to end, and the one that matters uses its index."""
    verb, index = VERBS[name]
    plans = await plans_of(unit, verb, monkeypatch)

    used: set[str] = set()
    for plan in plans:
        plan.assert_scans_nothing()
        used |= plan.indexes
    assert index in used


async def test_a_page_of_a_replay_is_not_sorted(
    unit: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index gives the order, so that a page costs the same at every depth."""
    for plan in await plans_of(unit, replay, monkeypatch):
        assert "Sort" not in plan.text, plan.text
        assert "TEMP B-TREE" not in plan.text, plan.text


LONG = """
    INSERT INTO conversation_ledger_events
        (tenant_id, conversation_id, segment_id, schema_version, kind, stream_id, event_id,
         server_timestamp, ingested_at, payload_json, payload_size_bytes)
    SELECT tenant_id, conversation_id, id, 'public_sse_v1', 'message.delta', 'long', n, now(),
        now(), '{}', 2
    FROM conversation_ledger_segments, generate_series(1, 5000) n
    WHERE conversation_id = (SELECT id FROM agent_conversations ORDER BY id DESC LIMIT 1)
"""


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize(
    "statement",
    [select(newest_frame()), statements.replay(frozenset[str](), postgresql=True)],
    ids=["newest frame", "replay"],
)
async def test_a_plan_for_any_conversation_walks_the_frames_of_that_one(
    unit: UnitOfWork, statement: Select[Any]
) -> None:
    """Few conversations, one of them long: the frames of the others are not in the range."""
    connection = await unit.session.connection()
    for prepared in (LONG, "ANALYZE conversation_ledger_events"):
        await connection.exec_driver_sql(prepared)
    query = str(statement.compile(dialect=unit.dialect))
    for number, name in enumerate(("tenant", "conversation", "after", "limit"), 1):
        query = query.replace(f"%({name})s", f"${number}")

    plan = (await connection.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {query}")).scalars()
    frames_read = [line for line in plan if "on conversation_ledger_events" in line]

    assert len(frames_read) == 1
    assert "ix_conversation_ledger_events_tenant_conversation_id_id" in frames_read[0]


ALONE = """
    DELETE FROM conversation_ledger_events
    WHERE conversation_id <> (SELECT id FROM agent_conversations ORDER BY id LIMIT 1)
"""


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("prepared", [(), (ALONE, "ANALYZE")], ids=["as made", "one counted"])
async def test_a_replay_on_sqlite_begins_at_its_position(
    unit: UnitOfWork, prepared: tuple[str, ...]
) -> None:
    """The row is a part of the search in the index: no page reads those before it.

    Nor does it walk the frames of all where there were few conversations when they were counted.
    """
    connection = await unit.session.connection()
    for statement in prepared:
        await connection.exec_driver_sql(statement)
    query = str(statements.replay(frozenset[str](), postgresql=False).compile(dialect=unit.dialect))
    anything = (None,) * query.count("?")
    steps = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", anything)).all()

    (search,) = [step.detail for step in steps if " conversation_ledger_events " in step.detail]
    assert "(tenant_id=? AND conversation_id=? AND id>?)" in search
