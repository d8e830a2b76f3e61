from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdb import Database, UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError
from agentdb.testing import Queries
from tests.conversations.talks import begun, cut, said, told


async def texts(uow: UnitOfWork, keys: list[UUID], n: int) -> dict[UUID, list[str | None]]:
    """Return the texts of the last messages of several conversations."""
    found = await uow.agent_messages.last_of_many(keys, n)
    return {key: [row.text for row in rows] for key, rows in found.items()}


async def test_the_last_messages_come_in_the_order_of_their_positions(
    agentdb_uow: UnitOfWork,
) -> None:
    """By id or key; all of them where there are fewer."""
    conversation = await told(agentdb_uow, "a", "1", "2", "3")
    last = agentdb_uow.agent_messages.last

    assert [row.text for row in await last(conversation, 2)] == ["2", "3"]
    assert [row.text for row in await last("a", 9)] == ["1", "2", "3"]


async def test_hidden_messages_are_not_among_the_last(agentdb_uow: UnitOfWork) -> None:
    """Those of the kept turns before the truncation are, with those after it."""
    conversation = await told(agentdb_uow, "a", "1", "2", "3", "4")
    await cut(agentdb_uow, conversation, 2)
    await agentdb_uow.agent_messages.append("a", said("5"))

    assert [row.text for row in await agentdb_uow.agent_messages.last("a", 2)] == ["2", "5"]
    assert await texts(agentdb_uow, [conversation], 2) == {conversation: ["2", "5"]}
    assert await texts(agentdb_uow, [conversation], 9) == {conversation: ["1", "2", "5"]}


async def test_the_last_messages_of_many_take_one_statement(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries
) -> None:
    """Conversations without messages, unknown ones and repeated ids do no harm."""
    one, two = await told(agentdb_uow, "a", "1", "2", "3"), await told(agentdb_uow, "b", "4")
    empty = (await begun(agentdb_uow, "c")).id
    with agentdb_queries(max=1):
        found = await texts(agentdb_uow, [two, one, empty, uuid4(), one], 2)

    assert found == {one: ["2", "3"], two: ["4"]}
    with agentdb_queries(max=0):
        assert await texts(agentdb_uow, [], 2) == {}


async def test_the_last_messages_of_another_tenant_are_not_shown(
    agentdb_database: Database, agentdb_uow: UnitOfWork
) -> None:
    """Their conversations do not exist; a system unit reads those of all, or of one tenant."""
    mine = await told(agentdb_uow, "a", "1")
    async with agentdb_database.begin_system(reason="test") as uow:
        other = await uow.tenant_accounts.create("Other", f"other-{uuid4().hex[:8]}")
    async with agentdb_database.begin(tenant=other.id) as uow:
        theirs = await told(uow, "b", "2")
        assert await texts(uow, [mine, theirs], 1) == {theirs: ["2"]}
        with pytest.raises(NotFoundError):
            await uow.agent_messages.last(mine, 1)
    async with agentdb_database.begin_system(reason="test") as uow:
        found = await uow.agent_messages.last_of_many([mine, theirs], 1)
        assert set(found) == {mine, theirs}
        found = await uow.agent_messages.last_of_many([mine, theirs], 1, tenant_id=other.id)
        assert set(found) == {theirs}


@pytest.mark.parametrize("n", [0, -1, 501, True])
async def test_a_number_that_is_none_is_refused(agentdb_uow: UnitOfWork, n: int) -> None:
    """As the limit of a page is."""
    conversation = await told(agentdb_uow, "a", "1")
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_messages.last(conversation, n)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_messages.last_of_many([conversation], n)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["append", "truncate"]), st.integers(0, 9)),
    max_size=12,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, n=st.integers(1, 4))
async def test_the_last_messages_are_the_end_of_the_visible_transcript(
    agentdb_uow: UnitOfWork, steps: list[tuple[int, str, int]], n: int
) -> None:
    """Whatever was appended and truncated before, for each alone and for many at once."""
    keys = [(await begun(agentdb_uow, uuid4().hex)).id for _ in range(3)]
    for which, step, number in steps:
        visible = await agentdb_uow.agent_messages.transcript(keys[which])
        if step == "append":
            await agentdb_uow.agent_messages.append(keys[which], said(*"xyz"[: number % 3 + 1]))
        elif visible.items:
            await cut(agentdb_uow, keys[which], visible.items[number % len(visible)].position)
    many = await agentdb_uow.agent_messages.last_of_many(keys, n)

    for key in keys:
        expected = list(await agentdb_uow.agent_messages.transcript(key))[-n:]
        assert await agentdb_uow.agent_messages.last(key, n) == expected
        assert many.get(key, []) == expected
