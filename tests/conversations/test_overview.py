from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.errors import InvalidCursorError, InvalidValueError, NaiveDatetimeError
from agentdb.testing import Factory, Queries
from tests.conversations.talks import begun, cut, said, told, walked

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def test_a_walk_over_conversations_of_one_instant_shows_each_once(
    agentdb_uow: UnitOfWork,
) -> None:
    """Five rows in pages of two: last written first, then by id, none lost."""
    rows = [await begun(agentdb_uow, f"c{n}", updated_at=NOON) for n in range(5)]
    overview = agentdb_uow.agent_conversations.overview
    pages = await walked(lambda after: overview(after=after, limit=2))
    expected = sorted((row.id for row in rows), reverse=True)

    found = [[shown.conversation.id for shown in page] for page in pages]
    assert found == [expected[:2], expected[2:4], expected[4:]]


async def test_the_conversation_written_last_comes_first(agentdb_uow: UnitOfWork) -> None:
    """Writing into an old one brings it to the front."""
    for number, key in enumerate("abc"):
        await begun(agentdb_uow, key, updated_at=NOON + timedelta(hours=number))
    await agentdb_uow.agent_messages.append("a", said("hello"))
    page = await agentdb_uow.agent_conversations.overview()

    assert [shown.conversation.external_key for shown in page] == ["a", "c", "b"]


async def test_a_preview_is_the_beginning_of_the_last_visible_text(
    agentdb_uow: UnitOfWork,
) -> None:
    """160 characters of it, whatever came after it without a text; hidden messages are passed."""
    long = "\U0001f600" + "é" * 300
    await told(agentdb_uow, "long", "first", long)
    await told(agentdb_uow, "cut", "kept", "hidden")
    await begun(agentdb_uow, "empty")
    await begun(agentdb_uow, "image")
    picture = [NewMessage(role="user", content=content) for content in ({"url": "x"}, {"text": 7})]
    await agentdb_uow.agent_messages.append("image", [*said("look"), *picture])
    row = await agentdb_uow.agent_conversations.by_ref("cut")
    assert row is not None
    await cut(agentdb_uow, row.id, 1)
    page = await agentdb_uow.agent_conversations.overview()

    assert {shown.conversation.external_key: shown.preview for shown in page} == {
        "long": long[:160],
        "cut": "kept",
        "empty": None,
        "image": "look",
    }


@pytest.mark.parametrize("count", [1, 9])
async def test_an_overview_takes_two_statements_however_many_there_are(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries, count: int
) -> None:
    """One for the conversations, one for the previews; without previews it is one."""
    for number in range(count):
        await told(agentdb_uow, f"c{number}", "hello")
    with agentdb_queries(max=2):
        page = await agentdb_uow.agent_conversations.overview()
    with agentdb_queries(max=1):
        plain = await agentdb_uow.agent_conversations.overview(with_preview=False)

    assert [shown.preview for shown in page] == ["hello"] * count
    assert [shown.preview for shown in plain] == [None] * count


async def test_an_overview_is_narrowed_by_each_filter(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Filters narrow together; ``updated_since`` is included."""
    member = agentdb_make.tenant_user_membership()
    later = NOON + timedelta(hours=1)
    await begun(agentdb_uow, "a", updated_at=NOON, status="archived")
    await begun(agentdb_uow, "b", updated_at=later, user_id=member.user_id)
    await begun(agentdb_uow, "c", updated_at=later, agent_entrypoint="billing")

    async def found(**filters: Any) -> set[str]:
        page = await agentdb_uow.agent_conversations.overview(**filters)
        return {shown.conversation.external_key for shown in page}

    assert await found() == {"a", "b", "c"}
    assert await found(status="archived") == {"a"}
    assert await found(status="active", agent_entrypoint="billing") == {"c"}
    assert await found(user_id=member.user_id) == {"b"}
    assert await found(updated_since=later) == {"b", "c"}
    assert await found(updated_since=later + timedelta(microseconds=1)) == set()
    assert await found(agent_entrypoint="x" * 500) == set()


async def test_a_cursor_belongs_to_its_overview(agentdb_uow: UnitOfWork) -> None:
    """Of other filters and damaged: refused; so are a page that is none and a naive instant."""
    await begun(agentdb_uow, "a")
    await begun(agentdb_uow, "b")
    overview = agentdb_uow.agent_conversations.overview
    cursor = (await overview(limit=1)).next_cursor

    for status, after in (("active", cursor), (None, f"{cursor}A"), (None, "")):
        with pytest.raises(InvalidCursorError):
            await overview(status=status, after=after)
    with pytest.raises(InvalidValueError):
        await overview(limit=501)
    with pytest.raises(NaiveDatetimeError):
        await overview(updated_since=datetime(2026, 3, 2))  # noqa: DTZ001 -- what is refused


async def test_a_system_unit_sees_one_tenant_or_all(agentdb_database: Database) -> None:
    """With a tenant the overview is that of the tenant."""
    async with agentdb_database.begin_system(reason="test") as uow:
        tenants = [await uow.tenant_accounts.create(f"Tenant {n}", f"tenant-{n}") for n in (1, 2)]
    for tenant in tenants:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            await told(uow, "a", tenant.slug)
    async with agentdb_database.begin_system(reason="test") as uow:
        everything = await uow.agent_conversations.overview()
        first = await uow.agent_conversations.overview(tenant_id=tenants[0].id)

    assert {shown.preview for shown in everything} == {"tenant-1", "tenant-2"}
    assert [shown.preview for shown in first] == ["tenant-1"]
