"""What the verbs of conversations are given wrongly is refused by type, and the unit goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from agentdb import NewMessage, UnitOfWork
from agentdb.batch import MAX_BATCH
from agentdb.conversations.rows import NewRunEvent
from agentdb.errors import InvalidCursorError, InvalidValueError, ValueTooLongError
from agentdb.models import WorkflowRun
from agentdb.operations import (
    append_messages,
    cancel_run,
    complete_run,
    delete_conversation,
    delete_run,
    start_workflow_run,
)
from agentdb.paging import encode_cursor, fingerprint
from agentdb.testing import Factory

NAIVE = datetime(2026, 3, 2)  # noqa: DTZ001 -- refused
HELLO = NewMessage(role="user", content="Hello")
ITEM = NewRunEvent(run_item_type="message")


def message(**changes: Any) -> NewMessage:
    """Return a message, whatever its fields are."""
    given: dict[str, Any] = {"role": "user", "content": "Hello", **changes}
    return NewMessage(**given)


VERBS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("agent_messages", "append", (None,), {}),
    ("agent_messages", "append", ("Hello",), {}),
    ("agent_messages", "append", ([None],), {}),
    ("agent_messages", "append", ([message(role=None)],), {}),
    ("agent_messages", "append", ([message(attachments=None)],), {}),
    ("agent_messages", "append", ([message(attachments={"a": 1})],), {}),
    ("agent_messages", "append", ([message(attachments=[1])],), {}),
    ("agent_messages", "append", ([HELLO],), {"now": NAIVE}),
    ("agent_messages", "append", ([HELLO],), {"now": "today"}),
    ("agent_messages", "transcript", (), {"direction": ["asc"]}),
    ("agent_messages", "transcript", (), {"after": None, "limit": "5"}),
    ("agent_run_usage", "record", (), {"response_id": ""}),
    ("agent_run_usage", "record", (), {"response_id": 5}),
    ("agent_run_events", "append", ([None],), {}),
    ("agent_run_events", "append", ([{}],), {}),
    ("agent_run_events", "append", ("message",), {}),
    ("agent_run_events", "append", ([NewRunEvent(run_item_type="a", response_id=[1])],), {}),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
    ("agent_run_events", "append", ([NewRunEvent(run_item_type="a", sequence_no="1")],), {}),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
    ("agent_run_events", "history", (), {"run_item_types": "message"}),
    ("conversation_summaries", "save", (None,), {}),
    ("conversation_summaries", "latest", (), {"max_age": 5}),
    ("conversation_summaries", "latest", (), {"max_age": timedelta.max}),
    ("agent_conversations", "set_title", (None,), {}),
    ("agent_conversations", "set_session_state", (), {"message_count": 0}),
    ("agent_conversations", "set_memory", (), {"conversation_key": "other"}),
]


@pytest.mark.parametrize(("table", "verb", "arguments", "options"), VERBS)
async def test_bad_arguments_of_a_verb_are_refused(
    agentdb_uow: UnitOfWork,
    table: str,
    verb: str,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    """Nothing is stored, and the next append finds everything as it was."""
    conversation, _ = await append_messages(agentdb_uow, "chat", [HELLO], create="triage")
    with pytest.raises(InvalidValueError):
        await getattr(getattr(agentdb_uow, table), verb)(conversation.id, *arguments, **options)

    (row,) = await agentdb_uow.agent_messages.append("chat", [HELLO])
    assert row.position == 1
    assert await agentdb_uow.agent_run_events.count() == 0


ENDS: list[dict[str, Any]] = [
    {"response_id": None},
    {"response_id": ""},
    {"usage": None},
    {"usage": {"response_id": "r2"}},
    {"session_state": {"message_count": 0}},
    {"activity": {"bogus": 1}},
    {"queue_item": 5},
    {"queue_item": (1, 2, 3)},
    {"queue_item": ("1", 2)},
    {"features": {"messages": -5}},
    {"features": {"messages": "3"}},
    {"features": {"messages": 1.5}},
    {"features": ["messages"]},
    {"run_events": [None]},
    {"messages": "Hello"},
]


@pytest.mark.parametrize("changes", ENDS, ids=str)
async def test_bad_arguments_of_the_end_of_a_run_are_refused(
    agentdb_uow: UnitOfWork, changes: dict[str, Any]
) -> None:
    """Whether or not there is a subscription; the same end can be told rightly afterwards."""
    await append_messages(agentdb_uow, "chat", [HELLO], create="triage")
    given: dict[str, Any] = {"response_id": "r1", "usage": {"input_tokens": 1}, **changes}
    with pytest.raises(InvalidValueError):
        await complete_run(agentdb_uow, "chat", **given)

    assert await agentdb_uow.agent_run_usage.count() == 0
    assert (await complete_run(agentdb_uow, "chat", "r1", {"input_tokens": 1})).applied


@pytest.mark.parametrize("ref", [None, 42, 4.5, b"chat", ["chat"]], ids=repr)
async def test_what_names_no_conversation_is_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, ref: Any
) -> None:
    """It is not taken for the key that its text would be."""
    named: Any = ref or 0  # a run may have none
    user = agentdb_make.user().id
    for key in ("None", "42"):
        await append_messages(agentdb_uow, key, [HELLO], create="triage")
    conversations = agentdb_uow.agent_conversations
    for call in (
        conversations.by_ref(ref),
        conversations.archive(ref),
        conversations.get_or_create(ref, "triage"),
        agentdb_uow.agent_messages.append(ref, [HELLO]),
        agentdb_uow.agent_messages.transcript(ref),
        agentdb_uow.workflow_runs.start("flow", user, conversation=named),
        append_messages(agentdb_uow, ref, [HELLO], create="triage"),
        delete_conversation(agentdb_uow, ref),
    ):
        with pytest.raises(InvalidValueError):
            await call

    assert await conversations.count() == 2


async def test_bad_arguments_of_workflows_are_refused(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Before a run is changed."""
    run = agentdb_make.workflow_run(status="running")
    for call in (
        cancel_run(agentdb_uow, run.id, reason=5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
        delete_run(agentdb_uow, run.id, min_age=5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
        agentdb_uow.workflow_runs.start("flow", agentdb_make.user().id, id=42),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- bad input
        append_messages(agentdb_uow, "chat", [HELLO], create=""),
    ):
        with pytest.raises(InvalidValueError):
            await call

    assert (await agentdb_uow.workflow_runs.require(run.id)).status == "running"


async def test_a_batch_that_no_statement_takes_is_refused(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts it is stored; the limit is lowered here, as the true one takes long."""
    assert MAX_BATCH < 2**28
    monkeypatch.setattr("agentdb.batch.MAX_BATCH", 10_000)
    await append_messages(agentdb_uow, "chat", [HELLO], create="triage")
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.agent_messages.append("chat", [message(content="é" * 4000)] * 2)

    rows = await agentdb_uow.agent_messages.append("chat", [message(content="é" * 4000)])
    assert [row.position for row in rows] == [1]


async def test_a_cursor_that_was_made_up_is_refused(agentdb_uow: UnitOfWork) -> None:
    """Its checksum is no secret: a number may be in it that no database compares."""
    conversation, _ = await append_messages(agentdb_uow, "chat", [HELLO] * 2, create="triage")
    seal = fingerprint((), "transcript", conversation.id, "asc", True)
    read = agentdb_uow.agent_messages.transcript
    with pytest.raises(InvalidCursorError):
        await read("chat", after=encode_cursor(seal, [2**63]))

    assert not (await read("chat", after=encode_cursor(seal, [2**40]))).items
    assert len((await read("chat")).items) == 2


async def test_any_number_of_conversations_can_be_asked_for(agentdb_uow: UnitOfWork) -> None:
    """More than a statement takes parameters."""
    conversation, _ = await append_messages(agentdb_uow, "chat", [HELLO], create="triage")
    keys = [*(uuid4() for _ in range(70_000)), conversation.id]
    found = await agentdb_uow.agent_messages.last_of_many(keys, 1)

    assert list(found) == [conversation.id]


async def test_a_loaded_run_tells_that_its_conversation_is_gone(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The database has taken it; the entity follows."""
    user = agentdb_make.user()
    started = await start_workflow_run(
        agentdb_uow, "chat", "flow", user_id=user.id, create="triage"
    )
    run: WorkflowRun = started.run
    await delete_conversation(agentdb_uow, "chat")

    assert run.conversation_id is None
