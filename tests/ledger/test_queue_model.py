"""The queue against its model: the same steps, the same answers and states, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from agentdb.database import Database
from agentdb.errors import InvalidTransitionError, LeaseLostError, QueueFullError
from agentdb.ledger.queue.repository import ConversationRunQueueItemRepository as Queue
from agentdb.ledger.queue.statements import items
from agentdb.maintenance import recover_queue_items
from agentdb.testing import FrozenClock
from tests.ledger.queue_model import LEASE, MAX_ATTEMPTS, MAX_DEPTH, QueueModel, Shown
from tests.sizes import Size

T = TypeVar("T")

CONVERSATIONS = 3

conversation = st.integers(0, CONVERSATIONS - 1)
some = st.integers(0, 1_000_000)
"""Chooses one of what there is, by its remainder."""


class World:
    """A database with a clock, driven from synchronous steps."""

    def __init__(self, url: str) -> None:
        self.clock = FrozenClock()
        self.database = Database(url, clock=self.clock)
        self._runner = asyncio.Runner()

    def run(self, work: Awaitable[T]) -> T:
        """Run something to its end."""

        async def call() -> T:
            return await work

        return self._runner.run(call())

    async def tenant(self) -> tuple[UUID, list[UUID]]:
        """Make a tenant with its conversations."""
        async with self.database.begin_system(reason="test") as uow:
            tenant = (await uow.tenant_accounts.create_with_free_slug("Model")).id
            made = [
                await uow.agent_conversations.get_or_create(f"c{n}", "triage", tenant_id=tenant)
                for n in range(CONVERSATIONS)
            ]
        return tenant, [row.id for row, _ in made]

    def close(self) -> None:
        """Close the database and the loop."""
        self.run(self.database.dispose())
        self._runner.close()


class QueueMachine(RuleBasedStateMachine):
    """Verbs in any order; after each the rows are those of the model."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.tenant, self.keys = self.world.run(self.world.tenant())
        self.model = QueueModel(self.world.clock())
        self.ids: list[int] = []
        self.tokens: list[tuple[int, int]] = []
        """Numbers and attempts of all claims so far, those that have ended too."""

    def call(self, work: Callable[[Queue], Awaitable[T]]) -> T:
        """Call a verb in a unit of its own."""

        async def unit() -> T:
            async with self.world.database.begin(tenant=self.tenant) as uow:
                return await work(uow.conversation_run_queue_items)

        return self.world.run(unit())

    @rule(of=conversation)
    def enqueue(self, of: int) -> None:
        """Queue a run."""
        if not self.model.enqueue(of):
            with pytest.raises(QueueFullError):
                self.call(lambda q: q.enqueue(self.keys[of], {}, max_depth=MAX_DEPTH))
            return
        item = self.call(lambda q: q.enqueue(self.keys[of], {}, max_depth=MAX_DEPTH))
        self.ids.append(item.id)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        """Claim some runs."""
        taken = self.call(lambda q: q.claim(lease=LEASE, max_attempts=MAX_ATTEMPTS, limit=limit))
        numbers = self.model.claim(limit)
        assert [self.ids.index(item.id) for item in taken] == numbers
        self.tokens += [(self.ids.index(item.id), item.attempt) for item in taken]

    @rule(minutes=st.sampled_from([1, 3, 5, 6]))
    def wait(self, minutes: int) -> None:
        """Let time go by."""
        self.model.now = self.world.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: bool(self.tokens))
    @rule(which=some, verb=st.sampled_from(["heartbeat", "hold", "complete", "fail", "give up"]))
    def work(self, which: int, verb: str) -> None:
        """Do what a worker does, in time or late."""
        number, attempt = self.tokens[which % len(self.tokens)]
        refusal = self.model.refusal(number, attempt)
        if refusal is not None:
            with pytest.raises(LeaseLostError) as caught:
                self.call(lambda q: self._fenced(q, verb, self.ids[number], attempt))
            assert caught.value.reason == refusal
            return
        self.call(lambda q: self._fenced(q, verb, self.ids[number], attempt))
        match verb:
            case "heartbeat":
                self.model.heartbeat(number)
            case "complete":
                self.model.complete(number)
            case "fail" | "give up":
                self.model.fail(number, retry=verb == "fail")
            case _:
                pass

    @staticmethod
    async def _fenced(queue: Queue, verb: str, key: int, attempt: int) -> None:
        match verb:
            case "heartbeat":
                await queue.heartbeat(key, attempt)
            case "hold":
                await queue.hold(key, attempt)
            case "complete":
                await queue.complete(key, attempt)
            case _:
                error = {"code": "boom"}
                retry = verb == "fail"
                await queue.fail(key, attempt, error, retry=retry, max_attempts=MAX_ATTEMPTS)

    @precondition(lambda self: bool(self.ids))
    @rule(which=some)
    def cancel(self, which: int) -> None:
        """Cancel a run."""
        number = which % len(self.ids)
        assert self.call(lambda q: q.cancel(self.ids[number])) == self.model.cancel(number)

    @rule(of=conversation, running=st.booleans())
    def cancel_in(self, of: int, running: bool) -> None:
        """Cancel what runs in a conversation, or what waits."""
        if running:
            done = self.call(lambda q: q.cancel_running(self.keys[of]))
            assert done == bool(self.model.cancel_in(of, {"running"}))
        else:
            count = self.call(lambda q: q.cancel_all(self.keys[of]))
            assert count == self.model.cancel_in(of, {"queued", "ready"})

    @precondition(lambda self: bool(self.ids))
    @rule(which=some)
    def requeue(self, which: int) -> None:
        """Queue a run again."""
        number = which % len(self.ids)
        if self.model.requeue(number):
            item = self.call(lambda q: q.requeue(self.ids[number]))
            assert item.status == self.model.runs[number].status
            return
        with pytest.raises(InvalidTransitionError):
            self.call(lambda q: q.requeue(self.ids[number]))

    @precondition(lambda self: bool(self.ids))
    @rule(which=some)
    def place(self, which: int) -> None:
        """Ask for a place."""
        number = which % len(self.ids)
        assert self.call(lambda q: q.place(self.ids[number])) == self.model.place(number)

    @rule(batch=st.integers(1, 3))
    def recover(self, batch: int) -> None:
        """Do what maintenance does; a dry run has counted it before."""
        sweep = [
            recover_queue_items(
                self.world.database,
                older_than=LEASE,
                max_attempts=MAX_ATTEMPTS,
                tenant_id=self.tenant,
                batch=batch,
                dry_run=dry_run,
            )
            for dry_run in (True, False)
        ]
        counted, done = (self.world.run(report) for report in sweep)
        expected = self.model.recover()
        assert (counted.counts, done.counts) == (expected, expected)
        assert counted.done
        assert done.done

    @invariant()
    def the_rows_are_those_of_the_model(self) -> None:
        """Every run, in the order of the ids."""
        self.model.check()
        assert self.world.run(self._shown()) == [run.shown for run in self.model.runs]

    async def _shown(self) -> list[Shown]:
        query = select(*items.c).where(items.c.tenant_id == self.tenant).order_by(items.c.id)
        async with self.world.database.read(reason="test") as uow:
            rows = (await uow.execute(query)).all()
        return [
            (
                self.ids.index(row.id),
                self.keys.index(row.conversation_id),
                row.status,
                row.attempt_count,
                row.error_json and row.error_json["code"],
            )
            for row in rows
        ]


@pytest.mark.agentdb_commits
@pytest.mark.timeout(7200)
def test_the_queue_does_what_its_model_does(agentdb_url: str, size: Size) -> None:
    """Whatever the steps, SQLite and PostgreSQL give the answers of one model."""
    world = World(agentdb_url)
    machine = type("Machine", (QueueMachine,), {"world": world})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=size(15, full=1000), stateful_step_count=size(40, full=100)
            ),
        )
    finally:
        world.close()
