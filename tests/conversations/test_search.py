from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unicodedata import normalize
from uuid import UUID

import pytest

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.conversations import search as searching
from agentdb.errors import InvalidCursorError, InvalidValueError, ValueTooLongError
from agentdb.testing import Factory, Queries
from tests.conversations.talks import begun, cut, told, walked

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def keys(uow: UnitOfWork, query: str) -> list[str]:
    """Return the keys of the conversations that a search finds."""
    return [hit.conversation.external_key for hit in await uow.agent_conversations.search(query)]


async def test_words_are_found_in_any_case_beyond_ascii_too(agentdb_uow: UnitOfWork) -> None:
    """Upper and lower case letters are the same, accented and Cyrillic ones as well."""
    await told(agentdb_uow, "french", "Un café, s'il vous plaît")
    await told(agentdb_uow, "russian", "Где мой ЩЕНОК?")

    assert await keys(agentdb_uow, "CAFÉ") == ["french"]
    assert await keys(agentdb_uow, "PLAÎT café") == ["french"]
    assert await keys(agentdb_uow, "щенок") == ["russian"]


async def test_a_query_may_write_its_accents_apart(agentdb_uow: UnitOfWork) -> None:
    """It finds the text that writes them as one character."""
    await told(agentdb_uow, "chat", normalize("NFC", "Un café, s'il vous plaît"))

    assert await keys(agentdb_uow, normalize("NFD", "café plaît")) == ["chat"]


async def test_all_words_have_to_be_in_one_message(agentdb_uow: UnitOfWork) -> None:
    """In any order; words of two messages do not add up."""
    await told(agentdb_uow, "both", "the parcel is late again")
    await told(agentdb_uow, "apart", "the parcel", "it is late")

    assert await keys(agentdb_uow, "late parcel") == ["both"]
    assert sorted(await keys(agentdb_uow, "parcel")) == ["apart", "both"]
    assert await keys(agentdb_uow, "parcel missing") == []


async def test_nothing_but_the_text_of_a_message_is_searched(agentdb_uow: UnitOfWork) -> None:
    """Neither keys nor other values of its content, nor a text that is an object."""
    conversation = await begun(agentdb_uow)
    contents: list[dict[str, object]] = [
        {"text": "hello", "topic": "refund"},
        {"text": {"nested": "voucher"}},
        {"parts": ["invoice"]},
        {"text": 4711},
    ]
    messages = [NewMessage(role="user", content=content) for content in contents]
    await agentdb_uow.agent_messages.append(conversation.id, messages)

    for query in ("text", "topic", "refund", "nested", "voucher", "parts", "invoice", "4711"):
        assert await keys(agentdb_uow, query) == [], query
    assert await keys(agentdb_uow, "hello") == ["support-42"]


async def test_no_character_is_special(agentdb_uow: UnitOfWork) -> None:
    """Wildcards and operators are no words, and do not stand for any."""
    await told(agentdb_uow, "a", "discount of 100% on order_number 7 for Ada")

    for query in ("%", "_", "*", "'", '"', "&|!:*", "()", "\\", "  ", ""):
        assert await keys(agentdb_uow, query) == [], query
    for query in ("d%count", "discount | missing", "!missing", "o_der", "miss*"):
        assert await keys(agentdb_uow, query) == [], query
    assert await keys(agentdb_uow, "100%") == ["a"]
    assert await keys(agentdb_uow, "Ada & discount") == ["a"]


async def test_a_truncated_message_is_not_found(agentdb_uow: UnitOfWork) -> None:
    """What is hidden stays hidden, what came before and after is found."""
    conversation = await told(agentdb_uow, "a", "apples", "bananas", "cherries")
    await cut(agentdb_uow, conversation, 1)
    await told(agentdb_uow, "a", "dates")

    assert await keys(agentdb_uow, "bananas") == await keys(agentdb_uow, "cherries") == []
    assert await keys(agentdb_uow, "apples") == await keys(agentdb_uow, "dates") == ["a"]


async def test_a_conversation_is_one_hit_with_its_best_message(agentdb_uow: UnitOfWork) -> None:
    """Of equal messages it is the last one."""
    conversation = await told(agentdb_uow, "a", "refund", "something else", "refund", "bye")
    (hit,) = await agentdb_uow.agent_conversations.search("refund")
    page = await agentdb_uow.agent_messages.transcript(conversation)

    assert (hit.conversation.id, hit.message_id) == (conversation, page.items[2].id)
    assert hit.score > 0


@pytest.mark.agentdb_only("postgres")
async def test_postgresql_stems_words_and_ranks_hits(agentdb_uow: UnitOfWork) -> None:
    """The best hit is the first, though it was written first; words that say nothing are none."""
    await told(agentdb_uow, "often", "refund refund refund refunds please")
    await told(agentdb_uow, "once", "a refund")

    assert await keys(agentdb_uow, "refunding") == ["often", "once"]
    assert await keys(agentdb_uow, "the") == []


@pytest.mark.agentdb_only("sqlite")
async def test_sqlite_finds_the_beginnings_of_words(agentdb_uow: UnitOfWork) -> None:
    """Not their ends, however an accent is written; the conversation written last comes first."""
    await told(agentdb_uow, "a", "reimbursement")
    await told(agentdb_uow, "b", normalize("NFD", "Reimbursé"))
    for number, key in enumerate("ab"):
        row = await agentdb_uow.agent_conversations.by_ref(key)
        assert row is not None
        at = NOON + timedelta(hours=number)
        await agentdb_uow.agent_conversations.update(row.id, updated_at=at)

    assert await keys(agentdb_uow, "reimb") == ["b", "a"]
    assert await keys(agentdb_uow, "REIMBURSÉ") == ["b"]
    assert await keys(agentdb_uow, "bursement") == []


async def ties(uow: UnitOfWork, count: int) -> list[UUID]:
    """Return conversations of one instant that a search for ``refund`` finds alike, in order."""
    made = [await told(uow, f"c{number}", "refund") for number in range(count)]
    for key in made:
        await uow.agent_conversations.update(key, updated_at=NOON)
    return sorted(made, reverse=True)


async def test_a_walk_over_equal_hits_shows_each_once(agentdb_uow: UnitOfWork) -> None:
    """Five hits of one rank and instant in pages of two."""
    expected = await ties(agentdb_uow, 5)
    search = agentdb_uow.agent_conversations.search
    pages = await walked(lambda after: search("refund", after=after, limit=2))

    found = [[hit.conversation.id for hit in page] for page in pages]
    assert found == [expected[:2], expected[2:4], expected[4:]]


@pytest.mark.agentdb_only("postgres")
async def test_a_walk_over_ranked_hits_shows_each_once(agentdb_uow: UnitOfWork) -> None:
    """Ranks, which have single precision, come through the cursors unchanged."""
    for number in range(1, 8):
        await told(agentdb_uow, f"c{number}", " ".join(["refund"] * number + ["filler"] * 9))
    search = agentdb_uow.agent_conversations.search
    pages = await walked(lambda after: search("refund", after=after, limit=2))
    hits = [hit for page in pages for hit in page]

    assert len({hit.conversation.id for hit in hits}) == len(hits) == 7
    scores = [hit.score for hit in hits]
    assert sorted(scores, reverse=True) == scores


@pytest.mark.agentdb_only("postgres")
async def test_the_pages_end_with_the_best_hits(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies behind the cap is on no page."""
    monkeypatch.setattr(searching, "MAX_HITS", 3)
    searching.ranked_hits.cache_clear()
    expected = await ties(agentdb_uow, 5)
    search = agentdb_uow.agent_conversations.search
    pages = await walked(lambda after: search("refund", after=after, limit=2))
    searching.ranked_hits.cache_clear()

    assert [hit.conversation.id for page in pages for hit in page] == expected[:3]


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("bound", ["_FEW", "_SHORT"])
async def test_a_large_tenant_is_searched_another_way_and_finds_the_same(
    agentdb_uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Large by its conversations or by their messages: the same hits, in the same order."""
    await ties(agentdb_uow, 5)
    await told(agentdb_uow, "hidden", "hello", "a late refund")
    search = agentdb_uow.agent_conversations.search
    small = [await search("refund"), await search("refund", agent_entrypoint="triage")]
    monkeypatch.setattr(searching, bound, 5)
    searching.ranked_hits.cache_clear()
    large = [await search("refund"), await search("refund", agent_entrypoint="triage")]
    searching.ranked_hits.cache_clear()

    assert [[*page] for page in large] == [[*page] for page in small]
    assert [len(page.items) for page in small] == [6, 6]


async def test_a_search_is_narrowed_by_agent_and_user(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Filters narrow together."""
    member = agentdb_make.tenant_user_membership()
    await told(agentdb_uow, "a", "refund")
    b = await told(agentdb_uow, "b", "refund")
    await agentdb_uow.agent_conversations.update(
        b, agent_entrypoint="billing", user_id=member.user_id
    )
    search = agentdb_uow.agent_conversations.search

    assert [h.conversation.id for h in await search("refund", agent_entrypoint="billing")] == [b]
    assert [h.conversation.id for h in await search("refund", user_id=member.user_id)] == [b]
    both = await search("refund", agent_entrypoint="triage", user_id=member.user_id)
    assert both.items == ()
    assert (await search("refund", agent_entrypoint="x" * 500)).items == ()


async def test_a_search_stays_in_its_tenant(agentdb_database: Database) -> None:
    """Another tenant's messages are not found, and its cursors lead nowhere."""
    async with agentdb_database.begin_system(reason="test") as uow:
        tenants = [await uow.tenant_accounts.create(f"Tenant {n}", f"tenant-{n}") for n in (1, 2)]
    cursors: list[str | None] = []
    for tenant in tenants:
        async with agentdb_database.begin(tenant=tenant.id) as uow:
            await ties(uow, 2)
            await told(uow, "own", tenant.slug)
            page = await uow.agent_conversations.search("refund", limit=1)
            cursors.append(page.next_cursor)
    async with agentdb_database.begin(tenant=tenants[1].id) as uow:
        assert await keys(uow, "tenant 1") == []
        with pytest.raises(InvalidCursorError):
            await uow.agent_conversations.search("refund", after=cursors[0])
    async with agentdb_database.begin_system(reason="test") as uow:
        assert len(await keys(uow, "refund")) == 4
        page = await uow.agent_conversations.search("refund", tenant_id=tenants[0].id)
        assert {hit.conversation.tenant_id for hit in page} == {tenants[0].id}


async def test_a_cursor_belongs_to_its_search(agentdb_uow: UnitOfWork) -> None:
    """Damaged ones and those of other words are refused; so is a page that is none."""
    await ties(agentdb_uow, 2)
    search = agentdb_uow.agent_conversations.search
    cursor = (await search("refund", limit=1)).next_cursor

    for query, after in (("other", cursor), ("refund", f"{cursor}A"), ("refund", "")):
        with pytest.raises(InvalidCursorError):
            await search(query, after=after)
    with pytest.raises(InvalidValueError):
        await search("refund", limit=0)


@pytest.mark.parametrize("query", ["a\x00b", "\ud800"])
async def test_a_query_that_cannot_be_text_is_refused(agentdb_uow: UnitOfWork, query: str) -> None:
    """As any text is, and the unit goes on."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.agent_conversations.search(query)
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.agent_conversations.search("x" * 501)

    assert await keys(agentdb_uow, "x" * 500) == []


async def test_a_search_takes_the_same_statements_for_any_number_of_hits(
    agentdb_uow: UnitOfWork, agentdb_queries: Queries
) -> None:
    """One for the hits, one for their conversations."""
    await ties(agentdb_uow, 7)
    with agentdb_queries(max=2):
        assert len(await agentdb_uow.agent_conversations.search("refund")) == 7


async def test_only_the_beginning_of_a_long_text_is_searched(agentdb_uow: UnitOfWork) -> None:
    """Its first 100,000 characters, on both databases."""
    await told(agentdb_uow, "a", "early " + "x " * 50_000 + "late")

    assert await keys(agentdb_uow, "early") == ["a"]
    assert await keys(agentdb_uow, "late") == []
