"""What the ledger's verbs are given wrongly is refused by type, and the unit goes on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import TextClause, text

from agentdb import Database, UnitOfWork
from agentdb.errors import AgentDBError, CorruptObjectError, InvalidValueError
from agentdb.ledger import appends
from agentdb.ledger.values import LedgerEventKind
from agentdb.models import TenantAccount
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger
from tests.ledger.conversations import begun, places
from tests.ledger.frames import frame

FAR = 2**31

BAD_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("append", (None,), {}),
    ("append", (frame(1),), {}),
    ("append", ("text",), {}),
    ("append", ([None],), {}),
    ("append", ([frame(1)],), {"inline_limit": None}),
    ("append", ([frame(1)],), {"inline_limit": -1}),
    ("append", ([frame(1)],), {"now": datetime(2026, 3, 2)}),  # noqa: DTZ001 -- refused
    ("append", ([frame(1)],), {"now": "2026-03-02"}),
    ("append", ([frame(1)],), {"now": datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))}),
    ("append", ([{**frame(1), "event_id": True}],), {}),
    ("replay", (), {"kinds": "final"}),
    ("replay", (), {"kinds": 5}),
    ("replay", (), {"kinds": ["final", None]}),
    ("replay", (), {"kinds": [f"kind-{n}" for n in range(70_000)]}),
    ("resume", (None, 1), {}),
    ("resume", ("", 1), {}),
    ("resume", ("s", -1), {}),
    ("resume", ("s", 2**63), {}),
    ("resume", ("s", "1"), {}),
]


@pytest.mark.parametrize(("verb", "arguments", "options"), BAD_CALLS)
async def test_bad_arguments_are_refused(
    agentdb_uow: UnitOfWork, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Before anything is sent: nothing is stored, and what is right is taken afterwards."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    with pytest.raises(InvalidValueError):
        await getattr(ledger, verb)(conversation, *arguments, **options)

    assert await ledger.count() == 0
    assert (await ledger.append(conversation, [frame(1)]))[0].inserted


async def test_an_event_id_far_ahead_is_not_stored_yet(agentdb_uow: UnitOfWork) -> None:
    """A client may send any number: above 32 bits, too, the page is empty and its cursor holds."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, [frame(1, "s")])
    for event in (FAR, 2**63 - 1):
        page = await ledger.resume(conversation, "s", event)
        assert (page.items, page.more) == ((), False)
        again = await ledger.replay(conversation, stream_id="s", after=page.cursor)
        assert again.items == ()

    assert places([*await ledger.resume(conversation, "s", 0)]) == [("s", 1)]


async def test_a_batch_that_the_database_refuses_leaves_the_unit_usable(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a size its rows may take more than PostgreSQL's jsonb holds, whatever was checked."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events

    def refused(**_: Any) -> TextClause:
        return text("SELECT lacking FROM conversation_ledger_events")

    with monkeypatch.context() as patched:
        patched.setattr("agentdb.batch.LARGE", 1)
        patched.setattr(appends, "append_frames", refused)
        patched.setattr(appends, "append_frame_embedded", refused)
        with pytest.raises(AgentDBError):
            await ledger.append(conversation, [frame(1)])

    assert (await ledger.append(conversation, [frame(1)]))[0].inserted


async def test_any_mapping_and_our_own_kinds_make_a_frame(agentdb_uow: UnitOfWork) -> None:
    """They are stored as what they stand for."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    given = {**frame(1), "kind": LedgerEventKind.FINAL}
    await ledger.append(conversation, [MappingProxyType(given)])
    (stored,) = await ledger.replay(conversation, kinds=[LedgerEventKind.FINAL])

    assert stored.payload == {**frame(1), "kind": "final"}


async def test_a_late_delivery_is_stored_where_it_comes(agentdb_uow: UnitOfWork) -> None:
    """Frames of one call are in order; between calls none is lost because another was faster."""
    conversation = await begun(agentdb_uow)
    ledger = agentdb_uow.conversation_ledger_events
    await ledger.append(conversation, [frame(5, "s")])
    (late,) = await ledger.append(conversation, [frame(3, "s")])

    assert late.inserted
    assert places([*await ledger.replay(conversation)]) == [("s", 5), ("s", 3)]


@pytest.mark.agentdb_commits
async def test_of_different_frames_under_one_id_the_recorded_one_can_be_read(
    agentdb_database: Database, agentdb_tenant: TenantAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer stores its large frame between the look and the append of this one."""
    store = MemoryObjectStore()
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        conversation = await begun(uow)

    async def append(text: str) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            large = frame(1, "s", text=text * 900)
            await append_ledger(uow, conversation, [large], store=store, inline_limit=500)

    look = appends._recorded  # pyright: ignore[reportPrivateUsage] -- between the two

    async def other_first(*arguments: Any) -> Any:
        found = await look(*arguments)
        monkeypatch.undo()
        await append("other")
        return found

    if agentdb_database.engine.dialect.name == "postgresql":
        monkeypatch.setattr(appends, "_recorded", other_first)
    else:  # where there is one writer at a time, the other is before or after
        await append("other")
    await append("mine")

    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (seen,) = await uow.conversation_ledger_events.replay(conversation, store=store)
    assert seen.payload == frame(1, "s", text="other" * 900)


async def test_a_changed_object_is_still_noticed(agentdb_uow: UnitOfWork) -> None:
    """Its digest is recorded beside its key."""
    conversation, store = await begun(agentdb_uow), MemoryObjectStore()
    large = frame(1, "s", text="x" * 900)
    await append_ledger(agentdb_uow, conversation, [large], store=store, inline_limit=500)
    (row,) = await agentdb_uow.storage_objects.all()
    await store.put(row.object_key, b"other")
    with pytest.raises(CorruptObjectError):
        await agentdb_uow.conversation_ledger_events.replay(conversation, store=store)


@pytest.mark.parametrize(
    "options",
    [
        {"stop": False},
        {"poll": None},
        {"poll": 0},
        {"kinds": "final"},
        {"kinds": ["message.delta"], "until_terminal": True},
        {"kinds": ["final"], "until_terminal": True},
        {"stream_id": "s", "last_event_id": -1},
        {"stream_id": "s", "last_event_id": 2**63},
        {"stream_id": "s", "last_event_id": "1"},
    ],
)
def test_a_tail_that_could_not_work_is_refused(
    agentdb_database: Database, options: dict[str, Any]
) -> None:
    """One that would never see a terminal frame would never end."""
    with pytest.raises(InvalidValueError):
        agentdb_database.tail("chat", tenant=uuid4(), **options)
