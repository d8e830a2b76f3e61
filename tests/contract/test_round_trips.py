"""What the verbs of every request cost: statements, and round trips of the whole unit of work.

Neither depends on the machine. A verb that gets cheaper lowers its budget.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from agentdb import Database, NewMessage, QueueItem
from agentdb.models import TenantAccount
from agentdb.testing import Factory, FaultProxy, capture_statements
from tests.ledger.frames import frame
from tests.trips import Trips, hops, trips_through

pytestmark = pytest.mark.agentdb_commits

WARM = 8
"""Units before the one that counts: the driver prepares a statement when it has run some times."""

MONTH = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


class Place(NamedTuple):
    """A database with what the verbs need.

    Attributes:
        database: The database, whose round trips are counted.
        tenant: A tenant.
        conversation: A conversation of it.
        subscription: A subscription of it.
        member: A user of it.
        token: The id of a refresh token of it.
        email: The address of a user.
        single: Whether the units are single ones.
    """

    database: Database
    tenant: UUID
    conversation: UUID
    subscription: UUID
    member: UUID
    token: str
    email: str
    single: bool = False


async def append(place: Place, number: int) -> None:
    """Append a message."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        message = NewMessage(role="user", content={"text": f"number {number}"})
        await uow.agent_messages.append(place.conversation, [message])


async def append_frames(place: Place, number: int) -> None:
    """Append frames of the ledger."""
    async with place.database.begin(tenant=place.tenant) as uow:
        frames = [frame(1000 * number + n) for n in range(100)]
        await uow.conversation_ledger_events.append(place.conversation, frames)


async def replay(place: Place, _: int) -> None:
    """Replay a page of frames."""
    async with place.database.read(tenant=place.tenant) as uow:
        assert (await uow.conversation_ledger_events.replay(place.conversation)).items


async def transcript(place: Place, _: int) -> None:
    """Read a page of messages."""
    async with place.database.read(tenant=place.tenant) as uow:
        assert (await uow.agent_messages.transcript(place.conversation)).items


async def search(place: Place, _: int) -> None:
    """Search the conversations of the tenant."""
    async with place.database.read(tenant=place.tenant) as uow:
        assert (await uow.agent_conversations.search("tuesday")).items


async def count_up(place: Place, _: int) -> None:
    """Count the use of nobody in particular."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.usage_counters.increment(None, date(2026, 1, 1), requests=1)


async def count_user_up(place: Place, _: int) -> None:
    """Count the use of a member, who is looked for."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.usage_counters.increment(place.member, date(2026, 1, 1), requests=1)


async def meter(place: Place, _: int) -> None:
    """Count the use of a feature."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.subscription_usage.increment(place.subscription, "messages", 1, *MONTH)


async def enqueue(place: Place, _: int) -> None:
    """Queue a run."""
    async with place.database.begin(tenant=place.tenant) as uow:
        queue = uow.conversation_run_queue_items
        await queue.enqueue(place.conversation, {}, max_depth=100)


async def claim(place: Place, _: int) -> None:
    """Claim a run."""
    async with place.database.begin_system(reason="test", single=place.single) as uow:
        assert await uow.conversation_run_queue_items.claim()


async def claim_some(place: Place, _: int) -> None:
    """Claim as many runs as are ready, which is less than asked for."""
    async with place.database.begin_system(reason="test", single=place.single) as uow:
        assert len(await uow.conversation_run_queue_items.claim(limit=10)) == 1


async def claim_nothing(place: Place, _: int) -> None:
    """Ask for a run where none is ready."""
    async with place.database.begin_system(reason="test", single=place.single) as uow:
        assert not await uow.conversation_run_queue_items.claim()


async def with_run(place: Place, _: int) -> None:
    """Queue a run in a conversation of its own."""
    async with place.database.begin(tenant=place.tenant) as uow:
        conversation, _new = await uow.agent_conversations.get_or_create(uuid4().hex, "triage")
        await uow.conversation_run_queue_items.enqueue(conversation.id, {})


async def with_claim(place: Place, number: int) -> QueueItem:
    """Queue a run, and claim it."""
    await with_run(place, number)
    async with place.database.begin_system(reason="test") as uow:
        (item,) = await uow.conversation_run_queue_items.claim()
    return item


async def beat(place: Place, item: QueueItem) -> None:
    """Renew the lease of a run."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.conversation_run_queue_items.heartbeat(item.id, item.attempt)


async def complete(place: Place, item: QueueItem) -> None:
    """Complete a run."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.conversation_run_queue_items.complete(item.id, item.attempt)


async def fail(place: Place, item: QueueItem) -> None:
    """Give a run up."""
    async with place.database.begin(tenant=place.tenant, single=place.single) as uow:
        await uow.conversation_run_queue_items.fail(item.id, item.attempt, {}, retry=False)


async def by_token(place: Place, _: int) -> None:
    """Look a refresh token up."""
    async with place.database.lookup(reason="test") as uow:
        assert await uow.service_account_tokens.by_refresh_jti(place.token)


async def by_email(place: Place, _: int) -> None:
    """Look a user up."""
    async with place.database.lookup(reason="test") as uow:
        assert await uow.users.by_email(place.email)


class Cost(NamedTuple):
    """What a unit of work costs.

    Attributes:
        statements: Those that it sends, but for BEGIN and COMMIT.
        trips: On PostgreSQL its round trips, BEGIN and COMMIT included; on SQLite its calls in the
            thread of the connection.
    """

    statements: int
    trips: int


class Verb(NamedTuple):
    """What a verb may cost.

    Attributes:
        act: A unit of work with the verb.
        postgres: What it may cost there.
        sqlite: What it may cost there.
        ahead: What is done before, and not counted; its result is handed to *act*.
    """

    act: Callable[[Place, Any], Awaitable[None]]
    postgres: Cost
    sqlite: Cost
    ahead: Callable[[Place, int], Awaitable[Any]] | None = None


VERBS = (
    Verb(append, Cost(2, 2), Cost(2, 3)),
    Verb(append_frames, Cost(2, 2), Cost(3, 4)),
    Verb(replay, Cost(1, 2), Cost(1, 2)),
    Verb(transcript, Cost(2, 2), Cost(2, 2)),
    Verb(search, Cost(1, 2), Cost(1, 2)),
    Verb(count_up, Cost(1, 2), Cost(1, 3)),
    Verb(count_user_up, Cost(1, 2), Cost(1, 3)),
    Verb(meter, Cost(1, 2), Cost(1, 3)),
    Verb(enqueue, Cost(3, 3), Cost(3, 4)),
    Verb(claim, Cost(1, 2), Cost(1, 3), with_run),
    Verb(claim_some, Cost(1, 2), Cost(1, 3), with_run),
    Verb(claim_nothing, Cost(3, 4), Cost(3, 5)),
    Verb(beat, Cost(1, 2), Cost(1, 3), with_claim),
    Verb(complete, Cost(3, 2), Cost(3, 3), with_claim),
    Verb(fail, Cost(3, 2), Cost(3, 3), with_claim),
    Verb(by_token, Cost(1, 1), Cost(1, 2)),
    Verb(by_email, Cost(1, 1), Cost(1, 2)),
)


SINGLE = (
    Verb(append, Cost(2, 1), Cost(2, 1)),
    Verb(count_up, Cost(1, 1), Cost(1, 1)),
    Verb(count_user_up, Cost(1, 1), Cost(1, 1)),
    Verb(meter, Cost(1, 1), Cost(1, 1)),
    Verb(claim, Cost(1, 1), Cost(1, 1), with_run),
    Verb(claim_some, Cost(1, 1), Cost(1, 1), with_run),
    Verb(claim_nothing, Cost(3, 4), Cost(3, 4)),
    Verb(beat, Cost(1, 1), Cost(1, 1), with_claim),
    Verb(complete, Cost(3, 1), Cost(3, 1), with_claim),
    Verb(fail, Cost(3, 1), Cost(3, 1), with_claim),
)
"""In single units, whose COMMIT goes with them."""


@pytest.fixture
def trips(agentdb_url: str, agentdb_backend: str) -> Iterator[tuple[str, Trips]]:
    """The URL of a database, and the count of what goes to it and back."""
    with ExitStack() as stack:
        if agentdb_backend == "sqlite":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            yield agentdb_url, stack.enter_context(hops(patch))
        else:
            proxy = stack.enter_context(FaultProxy(agentdb_url))
            yield proxy.url, stack.enter_context(trips_through(proxy))


@pytest.fixture
async def place(
    trips: tuple[str, Trips], agentdb_tenant: TenantAccount, agentdb_make: Factory
) -> AsyncIterator[Place]:
    """A database with what the verbs need."""
    subscription = agentdb_make.tenant_subscription().id
    member = agentdb_make.tenant_user_membership().user_id
    user, token = agentdb_make.user(), agentdb_make.service_account_token()
    database = Database(trips[0])
    async with database.begin(tenant=agentdb_tenant.id) as uow:
        conversation, _ = await uow.agent_conversations.get_or_create("chat", "triage")
        message = NewMessage(role="user", content={"text": "until tuesday"})
        await uow.agent_messages.append(conversation.id, [message])
        await uow.conversation_ledger_events.append(conversation.id, [frame(1, "first")])
    yield Place(
        database,
        agentdb_tenant.id,
        conversation.id,
        subscription,
        member,
        token.refresh_jti,
        user.email,
    )
    await database.dispose()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.act.__name__)
async def test_a_verb_costs_its_budget(
    verb: Verb, place: Place, trips: tuple[str, Trips], agentdb_backend: str
) -> None:
    """In statements, and in round trips or calls in the thread of the connection: no less either.

    A budget that is too large would hide the next loss.
    """
    await _cost(verb, place, trips[1], agentdb_backend)


@pytest.mark.parametrize("verb", SINGLE, ids=lambda verb: verb.act.__name__)
async def test_a_verb_in_a_single_unit_costs_its_budget(
    verb: Verb, place: Place, trips: tuple[str, Trips], agentdb_backend: str
) -> None:
    """BEGIN and COMMIT take nothing of their own."""
    await _cost(verb, place._replace(single=True), trips[1], agentdb_backend)


async def _cost(verb: Verb, place: Place, counted: Trips, backend: str) -> None:
    for number in range(WARM):
        await verb.act(place, await verb.ahead(place, number) if verb.ahead else number)
    given = await verb.ahead(place, WARM) if verb.ahead else WARM
    before = counted.count
    with capture_statements(place.database) as sent:
        await verb.act(place, given)

    cost = Cost(len(sent), counted.count - before)
    most = verb.sqlite if backend == "sqlite" else verb.postgres
    assert cost == most, sent
