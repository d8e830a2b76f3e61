from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentdb import UnitOfWork
from agentdb.errors import InvalidValueError, NotFoundError
from tests.conversations.talks import begun, cut, told

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_the_newest_summary_counts_and_the_others_stay(agentdb_uow: UnitOfWork) -> None:
    """Newest by its stamp, then by its row; older ones are history."""
    conversation = await begun(agentdb_uow)
    save = agentdb_uow.conversation_summaries.save
    await save("support-42", "new", now=NOON + HOUR, summary_model="m", summary_length_tokens=3)
    await save(conversation.id, "old", now=NOON)
    latest = await agentdb_uow.conversation_summaries.latest("support-42", now=NOON + HOUR)

    assert latest is not None
    assert (latest.summary_text, latest.summary_model) == ("new", "m")
    assert await agentdb_uow.conversation_summaries.count() == 2
    again = await save("support-42", "newer", now=NOON + HOUR)
    assert await agentdb_uow.conversation_summaries.latest("support-42", now=NOON + HOUR) is again


@pytest.mark.parametrize("text", ["", " \n\t "])
async def test_blank_text_is_no_summary(agentdb_uow: UnitOfWork, text: str) -> None:
    """Nothing is written; an absent conversation is told all the same."""
    await begun(agentdb_uow)

    assert await agentdb_uow.conversation_summaries.save("support-42", text) is None
    assert await agentdb_uow.conversation_summaries.count() == 0
    with pytest.raises(NotFoundError):
        await agentdb_uow.conversation_summaries.save("absent", text)


async def test_an_agent_has_its_own_summary(agentdb_uow: UnitOfWork) -> None:
    """Asked for by key; None asks for one that is for all agents, nothing for any."""
    await begun(agentdb_uow)
    save, latest = (
        getattr(agentdb_uow.conversation_summaries, name) for name in ("save", "latest")
    )
    everybody = await save("support-42", "for all", now=NOON)
    billing = await save("support-42", "for billing", agent_key="billing", now=NOON + HOUR)
    now = NOON + 2 * HOUR

    assert await latest("support-42", agent_key="billing", now=now) is billing
    assert await latest("support-42", agent_key=None, now=now) is everybody
    assert await latest("support-42", agent_key="triage", now=now) is None
    assert await latest("support-42", now=now) is billing


async def test_an_expired_or_old_summary_does_not_count(agentdb_uow: UnitOfWork) -> None:
    """It has expired at the very instant; an older one that has not takes its place."""
    await begun(agentdb_uow)
    save, latest = (
        getattr(agentdb_uow.conversation_summaries, name) for name in ("save", "latest")
    )
    lasting = await save("support-42", "lasting", now=NOON)
    short = await save("support-42", "short", now=NOON + HOUR, expires_at=NOON + 2 * HOUR)
    instant = timedelta(microseconds=1)

    assert await latest("support-42", now=NOON + 2 * HOUR - instant) is short
    assert await latest("support-42", now=NOON + 2 * HOUR) is lasting
    assert await latest("support-42", max_age=2 * HOUR, now=NOON + 2 * HOUR) is lasting
    assert await latest("support-42", max_age=HOUR, now=NOON + 2 * HOUR) is None


async def test_a_truncation_deletes_summaries(agentdb_uow: UnitOfWork) -> None:
    """They may tell of what is hidden now."""
    conversation = await told(agentdb_uow, "a", "secret")
    await agentdb_uow.conversation_summaries.save("a", "a secret was told")
    await cut(agentdb_uow, conversation, 0)

    assert await agentdb_uow.conversation_summaries.latest("a") is None


async def test_a_refused_summary_leaves_the_unit_usable(agentdb_uow: UnitOfWork) -> None:
    """A value that a column refuses stores nothing."""
    await begun(agentdb_uow)
    with pytest.raises(InvalidValueError):
        await agentdb_uow.conversation_summaries.save("support-42", "x", version="v" * 33)
    with pytest.raises(NotFoundError):
        await agentdb_uow.conversation_summaries.latest("absent")

    assert await agentdb_uow.conversation_summaries.count() == 0
