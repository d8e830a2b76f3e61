"""Units of one verb: when they commit, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from agentdb import Database, NewMessage, QueueItem, Settings, UnitOfWork
from agentdb.errors import (
    CommitUnknownError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
)
from agentdb.hints import hints_of
from agentdb.ledger.queue.hints import READY
from agentdb.models import TenantAccount
from agentdb.testing import FaultProxy, RoleUrls, kill_backend, run_concurrently
from agentdb.testing.waits import LockWatch, watch
from tests.ledger.conversations import begun
from tests.ledger.queues import states, violations

commits = pytest.mark.agentdb_commits
postgres = pytest.mark.agentdb_only("postgres")

MESSAGE = [NewMessage(role="user", content="Hello")]
TODAY = date(2026, 1, 1)


@pytest.fixture
async def chat(agentdb_database: Database, agentdb_tenant: TenantAccount) -> UUID:
    """A conversation with a first message."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        conversation = await begun(uow)
        await uow.agent_messages.append(conversation, MESSAGE)
    return conversation


async def counted(database: Database, tenant: TenantAccount) -> int:
    """Return how many messages others see behind the first."""
    async with database.read(tenant=tenant.id) as uow:
        return await uow.agent_messages.count() - 1


@commits
@pytest.mark.parametrize("by", ["id", "key"])
async def test_a_verb_has_committed_when_it_returns(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID, by: str
) -> None:
    """Others see it while the block goes on."""
    ref = chat if by == "id" else "chat"
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        (row,) = await uow.agent_messages.append(ref, MESSAGE)
        assert row.position == 1
        assert await counted(agentdb_database, agentdb_tenant) == 1


@commits
async def test_nothing_is_locked_behind_a_verb(
    agentdb_url: str, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Another writer need not wait for the end of the block."""
    settings = Settings(lock_timeout=0.1, busy_timeout=0.1)
    async with (
        Database(agentdb_url, settings=settings) as database,
        database.begin(tenant=agentdb_tenant.id, single=True) as uow,
    ):
        await uow.agent_messages.append(chat, MESSAGE)
        async with database.begin(tenant=agentdb_tenant.id) as other:
            await other.agent_messages.append(chat, MESSAGE)
        assert await counted(database, agentdb_tenant) == 2


async def test_what_a_block_raises_behind_its_verb_undoes_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """In a test that commits nothing as well."""
    with pytest.raises(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            await uow.agent_messages.append(chat, MESSAGE)
            raise ZeroDivisionError

    assert await counted(agentdb_database, agentdb_tenant) == 1


AFTERWARDS: dict[str, Callable[[UnitOfWork, UUID], Awaitable[object]]] = {
    "the same verb": lambda uow, chat: uow.agent_messages.append(chat, MESSAGE),
    "another verb": lambda uow, _: uow.usage_counters.increment(None, TODAY, requests=1),
    "a read": lambda uow, chat: uow.agent_conversations.get(chat),
    "the session": lambda uow, _: uow.session.commit(),
}


@pytest.mark.parametrize("what", AFTERWARDS)
async def test_a_single_unit_is_over_with_its_verb(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID, what: str
) -> None:
    """A second verb would be another transaction."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        await uow.agent_messages.append(chat, MESSAGE)
        with pytest.raises(PermissionDeniedError, match="is over with its verb"):
            await AFTERWARDS[what](uow, chat)

    assert await counted(agentdb_database, agentdb_tenant) == 1
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.usage_counters.count() == 0


async def test_other_verbs_commit_at_the_end_of_the_block(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """They need several statements, or a session."""
    for key, fails in (("one", False), ("two", True)):
        with suppress(ZeroDivisionError):
            async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
                await begun(uow, key)
                if fails:
                    raise ZeroDivisionError

    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (conversation,) = await uow.agent_conversations.all()
        assert conversation.conversation_key.endswith(":one")


async def test_entities_of_the_unit_are_brought_up_to_date(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Which takes another statement, so that the verb commits at the end of the block."""
    with pytest.raises(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            conversation = await uow.agent_conversations.require(chat)
            await uow.agent_messages.append(chat, MESSAGE)
            assert conversation.message_count == 2
            raise ZeroDivisionError

    assert await counted(agentdb_database, agentdb_tenant) == 0


async def test_what_a_verb_has_returned_is_the_hosts(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """What it changes in an entity is not stored."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        counter = await uow.usage_counters.increment(None, TODAY, requests=2)
        counter.requests = 40

    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (stored,) = await uow.usage_counters.all()
        assert stored.requests == 2


async def test_a_verb_that_is_refused_leaves_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """The unit may go on: nothing has happened."""
    nobodys = UUID(int=7)
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        with pytest.raises(NotFoundError):
            await uow.agent_messages.append(nobodys, MESSAGE)
        await uow.agent_messages.append(chat, MESSAGE)

    assert await counted(agentdb_database, agentdb_tenant) == 1


async def test_a_first_append_opens_a_segment(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Its first statement has found none, so that the verb goes on, and commits at the end."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        conversation = await begun(uow, "new")
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        (row,) = await uow.agent_messages.append(conversation, MESSAGE)

    assert row.position == 0
    assert await counted(agentdb_database, agentdb_tenant) == 0


@commits
async def test_a_look_at_the_connection_begins(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The host may go past SQLAlchemy, to the driver, which would commit each statement."""
    with suppress(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            connection = await (await uow.session.connection()).get_raw_connection()
            driver: Any = connection.driver_connection
            await driver.execute("UPDATE tenant_accounts SET name = 'changed'")
            raise ZeroDivisionError

    async with agentdb_database.read(reason="test") as uow:
        assert (await uow.tenant_accounts.require(agentdb_tenant.id)).name == agentdb_tenant.name


@commits
async def test_a_listener_that_raises_leaves_begin_to_the_next(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Nothing was sent; without BEGIN each statement would stand by itself."""

    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    engine = agentdb_database.engine.sync_engine
    with suppress(ZeroDivisionError):
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            event.listen(engine, "before_cursor_execute", refuse)
            with pytest.raises(ZeroDivisionError):
                await uow.agent_messages.append(chat, MESSAGE)
            event.remove(engine, "before_cursor_execute", refuse)
            await begun(uow, "new")
            raise ZeroDivisionError

    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await uow.agent_conversations.count() == 1


async def queued(database: Database, tenant: TenantAccount, runs: int) -> None:
    """Queue runs of one conversation."""
    async with database.begin(tenant=tenant.id) as uow:
        for _ in range(runs):
            await uow.conversation_run_queue_items.enqueue(await begun(uow), {})


async def claimed(
    database: Database, *, lease: timedelta = timedelta(minutes=5), limit: int = 1
) -> list[QueueItem]:
    """Claim in a single unit."""
    async with database.begin_system(reason="test", single=True) as uow:
        return await uow.conversation_run_queue_items.claim(lease=lease, limit=limit)


async def test_a_claim_goes_on_where_a_lease_has_ended(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Its first statement has taken nothing then; what the others take is committed as well."""
    await queued(agentdb_database, agentdb_tenant, 1)
    (first,) = await claimed(agentdb_database)
    assert await claimed(agentdb_database) == []
    (again,) = await claimed(agentdb_database, lease=timedelta(microseconds=1))

    assert (again.id, again.attempt) == (first.id, 2)
    async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
        await uow.conversation_run_queue_items.complete(again.id, again.attempt)
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        assert await states(uow) == {first.id: "completed"}


@commits
@pytest.mark.parametrize("fails", [False, True])
async def test_hints_are_given_when_the_block_ends(
    agentdb_database: Database, agentdb_tenant: TenantAccount, fails: bool
) -> None:
    """However it ends: what they tell of is committed."""
    await queued(agentdb_database, agentdb_tenant, 2)
    (item,) = await claimed(agentdb_database)
    woken = asyncio.Event()
    with hints_of(agentdb_database.engine.sync_engine).waiting(READY, woken):
        with suppress(ZeroDivisionError):
            async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
                await uow.conversation_run_queue_items.complete(item.id, item.attempt)
                assert not woken.is_set()
                if fails:
                    raise ZeroDivisionError
        assert woken.is_set()


@commits
async def test_appends_at_once_leave_no_gap(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Each waits for the one before it, and for no client."""

    async def append(_: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            (row,) = await uow.agent_messages.append(chat, MESSAGE)
            return row.position

    outcomes = await run_concurrently(20, append, database=agentdb_database)

    assert sorted(outcomes.results) == list(range(1, 21))
    assert await counted(agentdb_database, agentdb_tenant) == 20


@commits
async def test_increments_at_once_are_all_counted(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The row is made by one of them."""

    async def increment(_: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id, single=True) as uow:
            await uow.usage_counters.increment(None, TODAY, requests=1)

    outcomes = await run_concurrently(20, increment, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        (counter,) = await uow.usage_counters.all()
        assert counter.requests == 20


@commits
async def test_workers_at_once_share_the_runs(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Each is claimed once, and completed by who has it."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for number in range(30):
            conversation = await begun(uow, f"chat {number % 6}")
            await uow.conversation_run_queue_items.enqueue(conversation, {})

    async def work(_: int) -> list[int]:
        done: list[int] = []
        while items := await claimed(agentdb_database):
            for item in items:
                async with agentdb_database.begin(tenant=item.tenant_id, single=True) as uow:
                    await uow.conversation_run_queue_items.complete(item.id, item.attempt)
                done.append(item.id)
        return done

    outcomes = await run_concurrently(4, work, database=agentdb_database)

    assert outcomes.errors == []
    done = [key for each in outcomes.results for key in each]
    assert len(set(done)) == len(done) == 30
    assert await violations(agentdb_database) == []


@postgres
async def test_a_lost_answer_is_an_unknown_outcome(
    agentdb_fault_proxy: FaultProxy,
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    chat: UUID,
) -> None:
    """The verb raises it; here it was committed, which `settle` can tell."""

    async def append(uow: UnitOfWork) -> int:
        (row,) = await uow.agent_messages.append(chat, MESSAGE)
        return row.position

    async def newest(uow: UnitOfWork) -> int:
        return await uow.agent_messages.count() - 1

    tenant = agentdb_tenant.id
    agentdb_fault_proxy.drop_commit_replies()
    with pytest.raises(CommitUnknownError):
        async with agentdb_database.begin(tenant=tenant, single=True) as uow:
            await append(uow)
    assert await counted(agentdb_database, agentdb_tenant) == 1
    agentdb_fault_proxy.drop_commit_replies()
    found = await agentdb_database.run(append, tenant=tenant, settle=newest, single=True)

    assert (found, await counted(agentdb_database, agentdb_tenant)) == (2, 2)


@pytest.fixture
async def other(agentdb_url: str) -> AsyncIterator[Database]:
    """Another process's database object, which waits for locks in the database alone."""
    settings = Settings(lock_timeout=0.1, busy_timeout=0.1)
    async with Database(agentdb_url, settings=settings) as database:
        yield database


@asynccontextmanager
async def held(database: Database, tenant: TenantAccount, chat: UUID) -> AsyncGenerator[None]:
    """Lock the conversation, and leave nothing."""
    with suppress(ZeroDivisionError):
        async with database.begin(tenant=tenant.id) as uow:
            await uow.agent_messages.append(chat, MESSAGE)
            yield
            raise ZeroDivisionError


async def append_alone(database: Database, tenant: TenantAccount, chat: UUID) -> None:
    """Append in a single unit."""
    async with database.begin(tenant=tenant.id, single=True) as uow:
        await uow.agent_messages.append(chat, MESSAGE)


@commits
async def test_a_verb_that_gives_up_a_lock_leaves_nothing(
    agentdb_database: Database, other: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Its unit is rolled back, and its connection serves the next."""
    async with held(agentdb_database, agentdb_tenant, chat):
        with pytest.raises(TransientError):
            await append_alone(other, agentdb_tenant, chat)
    await append_alone(other, agentdb_tenant, chat)

    assert await counted(agentdb_database, agentdb_tenant) == 1


@commits
async def test_a_cancelled_verb_that_waits_leaves_nothing(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """It has not come to its COMMIT."""
    lock = watch(agentdb_database)
    try:
        async with held(agentdb_database, agentdb_tenant, chat):
            task = asyncio.ensure_future(append_alone(agentdb_database, agentdb_tenant, chat))
            await until_waiting(lock, task)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    finally:
        await lock.close()
    assert await counted(agentdb_database, agentdb_tenant) == 0
    await append_alone(agentdb_database, agentdb_tenant, chat)

    assert await counted(agentdb_database, agentdb_tenant) == 1


async def until_waiting(lock: LockWatch, task: asyncio.Future[Any]) -> None:
    """Return when *task* waits for a lock."""
    async with asyncio.timeout(20):
        while not await lock.waiting({task}):  # noqa: ASYNC110 -- the database tells of no event
            await asyncio.sleep(0)


@commits
@postgres
async def test_a_connection_lost_in_a_verb_that_waits_is_settled(
    agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """Nobody has told that it did not come to its COMMIT; who asks finds nothing."""
    lock, asked = watch(agentdb_database), asyncio.Event()

    async def append(uow: UnitOfWork) -> int:
        (row,) = await uow.agent_messages.append(chat, MESSAGE)
        return row.position

    async def settle(uow: UnitOfWork) -> int | None:
        asked.set()
        return await uow.agent_messages.count() - 1 or None

    try:
        async with held(agentdb_database, agentdb_tenant, chat):
            tenant = agentdb_tenant.id
            work = agentdb_database.run(append, tenant=tenant, settle=settle, single=True)
            task = asyncio.ensure_future(work)
            await until_waiting(lock, task)
            for process in await waiting_processes(agentdb_database):
                kill_backend(agentdb_database.url, process)
            await asyncio.wait_for(asked.wait(), 20)
        assert await task == 1
    finally:
        await lock.close()

    assert await counted(agentdb_database, agentdb_tenant) == 1


async def waiting_processes(database: Database) -> list[int]:
    """Return the processes of the server that wait for another."""
    query = text(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    async with database.begin_system(reason="test") as uow:
        return list((await uow.session.execute(query)).scalars())


@commits
@postgres
async def test_behind_a_pooler_commit_takes_a_trip_of_its_own(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, chat: UUID
) -> None:
    """It may know no pipelines; the unit commits with its verb all the same."""
    async with Database(agentdb_url, settings=Settings(pooler="pgbouncer")) as pooled:
        with pytest.raises(ZeroDivisionError):
            async with pooled.begin(tenant=agentdb_tenant.id, single=True) as uow:
                await uow.agent_messages.append(chat, MESSAGE)
                assert await counted(agentdb_database, agentdb_tenant) == 1
                raise ZeroDivisionError

    assert await counted(agentdb_database, agentdb_tenant) == 1


async def test_a_role_that_policies_bind_claims_nothing(agentdb_role_urls: RoleUrls) -> None:
    """The refusal goes before the verb, and holds its COMMIT back, on every use."""
    async with Database(agentdb_role_urls.app) as database:
        for _ in range(3):
            with pytest.raises(PermissionDeniedError, match="row-level security"):
                await claimed(database)
