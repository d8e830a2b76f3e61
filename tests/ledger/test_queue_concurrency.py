from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from agentdb.database import Database
from agentdb.errors import LeaseLostError, NotFoundError, QueueFullError
from agentdb.ledger.queue.rows import QueueItem
from agentdb.models import TenantAccount, User
from agentdb.operations import delete_user
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently
from tests.ledger.conversations import begun
from tests.ledger.queues import CHAT, queued, states, violations
from tests.sizes import Size

pytestmark = pytest.mark.agentdb_commits

LEASE = timedelta(minutes=5)


async def test_twenty_enqueues_at_once_keep_the_depth(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Of twenty with a depth of ten, ten are stored and ten refused; one is the head."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await begun(uow)

    async def enqueue(number: int) -> int:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            item = await uow.conversation_run_queue_items.enqueue(CHAT, {"n": number}, max_depth=10)
            return item.id

    outcomes = await run_concurrently(20, enqueue, database=agentdb_database)

    assert len(outcomes.results) == 10
    assert {type(error) for error in outcomes.errors} == {QueueFullError}
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        found = await states(uow)
        segments = await uow.conversation_ledger_segments.count()
    assert Counter(found.values()) == {"ready": 1, "queued": 9}
    assert found[min(found)] == "ready"
    assert segments == 1


async def test_a_run_of_a_user_who_is_being_deleted_is_refused(
    agentdb_database: Database, agentdb_tenant: TenantAccount, agentdb_make: Factory
) -> None:
    """Both lock the user before the conversation, so that neither is a victim of a deadlock."""
    user = agentdb_make.tenant_user_membership().user_id
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await uow.agent_conversations.get_or_create(CHAT, "triage", user_id=user)

    async def delete(pause: Pause) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.execute(select(User.id).where(User.id == user).with_for_update())
            await pause()
            await delete_user(uow, user, force=True)

    async def enqueue(_: Pause) -> None:
        with pytest.raises(NotFoundError):
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
                queue = uow.conversation_run_queue_items
                await queue.enqueue(CHAT, {}, created_by_user_id=user)

    async with StepRunner(agentdb_database, delete=delete, enqueue=enqueue) as runner:
        assert await runner.step("delete") == "paused"
        assert await runner.step("enqueue") == "waiting"
        assert await runner.step("delete") == "done"
        assert await runner.step("enqueue") == "done"


async def test_eight_claimers_get_eight_runs(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """No run for two of them, and none left over."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        ids = [(await queued(uow, 2, f"chat-{n}"))[0] for n in range(8)]

    async def claim(_: int) -> list[int]:
        async with agentdb_database.begin_system(reason="test") as uow:
            return [item.id for item in await uow.conversation_run_queue_items.claim()]

    outcomes = await run_concurrently(8, claim, database=agentdb_database)

    assert outcomes.errors == []
    assert sorted(key for taken in outcomes.results for key in taken) == ids


async def test_one_of_eight_takes_over_a_lapsed_run(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The others find nothing; the worker that was late is fenced off."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2)
        (late,) = await uow.conversation_run_queue_items.claim()
    assert late.started_at is not None
    then = late.started_at + LEASE

    async def claim(_: int) -> list[QueueItem]:
        async with agentdb_database.begin_system(reason="test") as uow:
            return await uow.conversation_run_queue_items.claim(lease=LEASE, now=then)

    outcomes = await run_concurrently(8, claim, database=agentdb_database)

    assert outcomes.errors == []
    (item,) = [item for taken in outcomes.results for item in taken]
    assert (item.id, item.attempt) == (late.id, 2)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        with pytest.raises(LeaseLostError):
            await uow.conversation_run_queue_items.complete(late.id, late.attempt)


async def test_one_of_eight_completions_is_accepted(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The other seven learn that the run is finished; one run becomes ready."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 3)
        (item,) = await uow.conversation_run_queue_items.claim()

    async def complete(_: int) -> QueueItem:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            return await uow.conversation_run_queue_items.complete(item.id, item.attempt)

    outcomes = await run_concurrently(8, complete, database=agentdb_database)

    assert len(outcomes.results) == 1
    assert {type(error) for error in outcomes.errors} == {LeaseLostError}
    assert await violations(agentdb_database) == []


@pytest.mark.agentdb_only("postgres")
async def test_a_held_run_is_not_taken_over_and_its_heartbeat_passes(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A claim skips it, a heartbeat reports it alive, and neither waits."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2)
        (item,) = await uow.conversation_run_queue_items.claim()
    assert item.started_at is not None
    then = item.started_at + LEASE

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as holder:
        await holder.conversation_run_queue_items.hold(item.id, item.attempt)
        async with agentdb_database.begin_system(reason="test") as uow:
            queue = uow.conversation_run_queue_items
            assert await queue.claim(lease=LEASE, now=then) == []
            assert await queue.claim(lease=LEASE, max_attempts=1, now=then) == []
            alive = await queue.heartbeat(item.id, item.attempt, now=then)
            assert (alive.status, alive.started_at) == ("running", item.started_at)
        await holder.conversation_run_queue_items.complete(item.id, item.attempt)


async def test_what_is_written_beside_a_hold_commits_only_while_the_claim_stands(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """A cancellation waits for the holder, and finds the run completed."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2)
        (item,) = await uow.conversation_run_queue_items.claim()

    async def work(pause: Pause) -> bool:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            await uow.conversation_run_queue_items.hold(item.id, item.attempt)
            await pause()
            await uow.agent_conversations.get_or_create("written", "triage")
            await uow.conversation_run_queue_items.complete(item.id, item.attempt)
        return True

    cancelled: list[bool] = []

    async def cancel(_: Pause) -> bool:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            cancelled.append(await uow.conversation_run_queue_items.cancel(item.id))
        return True

    async with StepRunner(agentdb_database, worker=work, user=cancel) as runner:
        assert await runner.step("worker") == "paused"
        assert await runner.step("user") == "waiting"
        assert await runner.step("worker") == "done"
        assert await runner.step("user") == "done"
    assert cancelled == [False]


@pytest.mark.agentdb_only("postgres")
async def test_a_claim_waits_for_nobody(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Nor for a conversation that is locked while its last attempt has lapsed."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        await queued(uow, 2, "busy")
        (item,) = await uow.conversation_run_queue_items.claim()
        (free,) = await queued(uow, 1, "free")
    assert item.started_at is not None
    then = item.started_at + LEASE

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as busy:
        await busy.conversation_run_queue_items.enqueue("busy", {})
        async with agentdb_database.begin_system(reason="test") as uow:
            taken = await uow.conversation_run_queue_items.claim(
                lease=LEASE, max_attempts=1, limit=5, now=then
            )
    assert [claimed.id for claimed in taken] == [free]


@pytest.mark.timeout(3600)
async def test_a_mixed_load_keeps_the_promises(
    agentdb_database: Database, agentdb_tenant: TenantAccount, size: Size
) -> None:
    """Enqueues, claims, ends, cancellations and requeues at once: heads, order and counts hold."""
    rounds = size(25, full=2500)
    load = _Load(agentdb_database, agentdb_tenant.id)
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        for key in load.keys:
            load.conversations[key] = await begun(uow, key)

    outcomes = await run_concurrently(
        10, lambda number: load.work(number, rounds), database=agentdb_database
    )

    assert outcomes.errors == []
    assert load.overlaps == []
    assert load.reasons <= {"cancelled", "reclaimed"}
    assert await violations(agentdb_database) == []
    await load.finish()
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        left = Counter((await states(uow)).values())
    assert not {"queued", "ready", "running"} & set(left), left
    assert sum(left.values()) == load.stored
    assert load.out_of_order == []


class _Load:
    """Callers that do to the queue what they like, and note what they see."""

    keys = ("one", "two", "three")

    def __init__(self, database: Database, tenant: UUID) -> None:
        self.database = database
        self.tenant = tenant
        self.stored = 0
        self.conversations: dict[str, UUID] = {}
        self.at_work: dict[UUID, int] = {}
        self.overlaps: list[int] = []
        self.last: dict[UUID, int] = {}
        self.out_of_order: list[int] = []
        self.moved: set[int] = set()
        self.reasons: set[str] = set()

    async def work(self, number: int, rounds: int) -> None:
        """Enqueue, work or interfere, as the number and chance have it."""
        chance = random.Random(number)  # noqa: S311 -- reproducible
        for _ in range(rounds):
            if number < 4:
                await self.enqueue(chance.choice(self.keys))
            elif number < 9:
                await self.claim(chance)
            else:
                await self.interfere(chance)

    async def enqueue(self, key: str) -> None:
        """Queue a run, unless the queue is full."""
        try:
            async with self.database.begin(tenant=self.tenant) as uow:
                await uow.conversation_run_queue_items.enqueue(key, {}, max_depth=8)
        except QueueFullError:
            return
        self.stored += 1

    async def claim(self, chance: random.Random) -> bool:
        """Work on a run, and end it in one way or the other."""
        async with self.database.begin_system(reason="test") as uow:
            taken = await uow.conversation_run_queue_items.claim()
            # Before the commit, and forgotten before that of what ends it: never longer than it is.
            self.overlaps += [i.id for i in taken if i.conversation_id in self.at_work]
            self.at_work |= {i.conversation_id: i.id for i in taken}
        if not taken:
            return False
        (item,) = taken
        if item.attempt == 1 and item.id not in self.moved:
            if self.last.get(item.conversation_id, 0) > item.id:
                self.out_of_order.append(item.id)
            self.last[item.conversation_id] = item.id
        await asyncio.sleep(0)
        try:
            async with self.database.begin(tenant=self.tenant) as uow:
                queue = uow.conversation_run_queue_items
                held = await queue.hold(item.id, item.attempt)
                assert held.status == "running"
                if chance.random() < 0.3:
                    await queue.fail(item.id, item.attempt, {"code": "chance"}, max_attempts=3)
                else:
                    await queue.complete(item.id, item.attempt)
                del self.at_work[item.conversation_id]
        except LeaseLostError as error:
            self.reasons.add(error.reason)
        return True

    async def interfere(self, chance: random.Random) -> None:
        """Cancel or requeue something."""
        async with self.database.begin(tenant=self.tenant) as uow:
            queue = uow.conversation_run_queue_items
            match chance.randrange(4):
                case 0:
                    key = chance.choice(self.keys)
                    if await queue.cancel_running(key):
                        del self.at_work[self.conversations[key]]
                case 1:
                    await queue.cancel_all(chance.choice(self.keys))
                case _:
                    over = [k for k, s in (await states(uow)).items() if s == "cancelled"]
                    if over:
                        self.moved.add(run := chance.choice(over))
                        await queue.requeue(run)

    async def finish(self) -> None:
        """Work until nothing is left."""
        chance = random.Random(0)  # noqa: S311 -- reproducible
        while await self.claim(chance):
            pass
