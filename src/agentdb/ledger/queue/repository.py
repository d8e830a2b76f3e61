"""The queue of runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from agentdb.checks import check_count, check_duration
from agentdb.conversations.refs import lock_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.ledger.models import ConversationRunQueueItem
from agentdb.ledger.queue import holding, moving, taking
from agentdb.ledger.queue.actions import QueueAction
from agentdb.ledger.queue.rows import QueueItem
from agentdb.paging import Page
from agentdb.repository import VerbWrittenRepository
from agentdb.types import JsonObject

LEASE = timedelta(minutes=5)
"""How long a worker that is not heard of keeps its run; all workers of a queue share it."""

MAX_ATTEMPTS = 5
"""How often a run is tried."""

MAX_CLAIMED = 1000
"""How many runs one claim takes at the most."""

MAX_DEPTH = 10
"""How many runs of a conversation may wait."""


class ConversationRunQueueItemRepository(VerbWrittenRepository[ConversationRunQueueItem, int]):
    """Runs that wait for, hold or held their conversation.

    They run one at a time in a conversation, in the order of their ids, each at least once. Its
    completion is accepted once, from the attempt that holds it then: a worker that was slow, or
    stopped, finds that its claim has ended, and writes nothing.

    In a system unit the verbs by id, and `claim`, reach all tenants unless one is named.
    """

    model = ConversationRunQueueItem
    verb = "enqueue"

    async def enqueue(
        self,
        ref: ConversationRef,
        payload: JsonObject,
        *,
        created_by_user_id: UUID | None = None,
        max_depth: int = MAX_DEPTH,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> QueueItem:
        """Queue a run of a conversation, behind those that are queued already.

        Concurrent calls follow each other, so that the order of the ids is that of the commits and
        the depth is never passed: of 20 at once with a depth of 10, 10 are refused.

        Args:
            ref: The conversation; its active segment, opened on first use, is that of the run.
            payload: What the worker needs, a JSON object.
            created_by_user_id: Who asked for it.
            max_depth: How many runs of the conversation may wait, this one included; one that is
                being worked on does not count.
            tenant_id: The tenant, in a system unit.
            now: The clock of the verb.

        Raises:
            QueueFullError: As many wait already.
            NotFoundError: The tenant has no such conversation or user.
            InvalidValueError: The payload is no JSON object that both databases keep.
        """
        check_count(max_depth, "a depth")
        tenant = self.unit.scope.owner(tenant_id)
        return await taking.enqueue(
            QueueAction(self.unit, tenant, now),
            ref,
            tenant,
            payload=payload,
            user=created_by_user_id,
            max_depth=max_depth,
            now=now,
        )

    async def claim(
        self,
        *,
        lease: timedelta = LEASE,
        max_attempts: int = MAX_ATTEMPTS,
        limit: int = 1,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> list[QueueItem]:
        """Take runs that are ready, the oldest first; commit before working on them.

        Runs whose lease has ended come first, as a new attempt; those that have had all attempts
        fail with the code ``lease_expired`` instead, and the next of their conversations is ready.
        No two workers get one run, and no conversation ever has two that run. On PostgreSQL a claim
        waits for nobody: what others have locked, it skips.

        Its cost depends neither on how many runs wait nor on how many are done; in a tenant's unit,
        on the ready runs of other tenants.

        Args:
            lease: How long a worker may be silent.
            max_attempts: How often a run is tried.
            limit: How many to take at the most, up to 1000; of a conversation never more than one.
            tenant_id: The tenant, in a system unit; None for all.
            now: The clock of the verb.

        Returns:
            What was taken, in the order of the ids; perhaps nothing.
        """
        check_count(limit, "a limit", most=MAX_CLAIMED)
        check_count(max_attempts, "a number of attempts")
        check_duration(lease, "a lease", positive=True)
        action = self._action(tenant_id, now)
        return await taking.claim(action, lease=lease, max_attempts=max_attempts, limit=limit)

    async def heartbeat(
        self, key: int, attempt: int, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> QueueItem:
        """Say that the worker is alive: the lease begins anew. A short unit of its own does it.

        A run that `hold` has locked is left alone: nobody else can take it over meanwhile.

        Args:
            key: The id of the run.
            attempt: The attempt that was claimed.
            tenant_id: The tenant, in a system unit; None for all.
            now: The clock of the verb.

        Raises:
            LeaseLostError: The claim has ended; nothing was written.
        """
        _check_claim(key, attempt)
        return await holding.heartbeat(self._action(tenant_id, now), key, attempt)

    async def hold(self, key: int, attempt: int, *, tenant_id: UUID | None = None) -> QueueItem:
        """Lock a run, so that what else the unit writes commits only while the claim stands.

        Until the unit ends nobody takes the run over, even if its lease ends. The conversation is
        locked as well, as a unit that writes into it must do first; appends and enqueues of others
        wait. On SQLite it belongs into a short unit at the end, as a unit that writes there keeps
        all other writers out.

        Args:
            key: The id of the run.
            attempt: The attempt that was claimed.
            tenant_id: The tenant, in a system unit; None for all.

        Raises:
            LeaseLostError: The claim has ended.
        """
        _check_claim(key, attempt)
        return await holding.hold(self._action(tenant_id), key, attempt)

    async def complete(
        self, key: int, attempt: int, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> QueueItem:
        """End a run; the next of its conversation becomes ready in the same unit.

        Args:
            key: The id of the run.
            attempt: The attempt that was claimed.
            tenant_id: The tenant, in a system unit; None for all.
            now: The clock of the verb.

        Raises:
            LeaseLostError: The claim has ended; nothing was written.
        """
        _check_claim(key, attempt)
        return await holding.complete(self._action(tenant_id, now), key, attempt)

    async def fail(
        self,
        key: int,
        attempt: int,
        error: JsonObject,
        *,
        retry: bool = True,
        max_attempts: int = MAX_ATTEMPTS,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> QueueItem:
        """Give a run up: it is ready again, in its place, or failed and the next one is ready.

        Behind an older run, that was queued again meanwhile, it waits, and that one is ready.

        Args:
            key: The id of the run.
            attempt: The attempt that was claimed.
            error: Why, a JSON object; the run keeps the last one.
            retry: Whether it is tried again, until it has had all attempts.
            max_attempts: How often a run is tried.
            tenant_id: The tenant, in a system unit; None for all.
            now: The clock of the verb.

        Raises:
            LeaseLostError: The claim has ended; nothing was written.
            InvalidValueError: The error is no JSON object that both databases keep.
        """
        _check_claim(key, attempt)
        check_count(max_attempts, "a number of attempts")
        action = self._action(tenant_id, now)
        tries = max_attempts if retry else 0
        return await holding.fail(action, key, attempt, error=error, max_attempts=tries)

    async def cancel(
        self, key: int, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> bool:
        """Cancel a run, also one that is being worked on; the next one can be claimed at once.

        Its worker learns of it at its next call.

        Returns:
            False if it had ended already.

        Raises:
            NotFoundError: There is no such run.
        """
        check_count(key, "the id of a run", least=0)
        return await moving.cancel(self._action(tenant_id, now), key)

    async def cancel_running(
        self, ref: ConversationRef, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> bool:
        """Cancel the run of a conversation that is being worked on; the next one is ready.

        Returns:
            False if there was none.

        Raises:
            NotFoundError: The tenant has no such conversation.
        """
        return bool(await self._cancel_in(ref, tenant_id, now, running=True))

    async def cancel_all(
        self, ref: ConversationRef, *, tenant_id: UUID | None = None, now: datetime | None = None
    ) -> int:
        """Cancel all runs of a conversation that wait; one that is being worked on goes on.

        Returns:
            How many there were.

        Raises:
            NotFoundError: The tenant has no such conversation.
        """
        return await self._cancel_in(ref, tenant_id, now, running=False)

    async def _cancel_in(
        self, ref: ConversationRef, tenant_id: UUID | None, now: datetime | None, *, running: bool
    ) -> int:
        tenant = self.unit.scope.owner(tenant_id)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        action = QueueAction(self.unit, tenant, now)
        return await moving.cancel_in_conversation(action, conversation, running=running)

    async def requeue(self, key: int, *, tenant_id: UUID | None = None) -> QueueItem:
        """Queue a run again that has failed or was cancelled, at its old place by id.

        It moves to the active segment, opened if there is none: its own may be hidden by now. A
        younger run that is ready steps back behind it. The attempts that it has had stay counted,
        so that one which has had all gets one more.

        Raises:
            NotFoundError: There is no such run.
            InvalidTransitionError: It waits, is being worked on, or is completed.
        """
        check_count(key, "the id of a run", least=0)
        return await moving.requeue(self._action(tenant_id), key)

    async def place(self, key: int, *, tenant_id: UUID | None = None) -> int:
        """Return how many runs of its conversation come before one.

        It is 0 for the one that is next, and for one that is being worked on or has ended.

        Raises:
            NotFoundError: There is no such run.
        """
        check_count(key, "the id of a run", least=0)
        return await moving.place(self._action(tenant_id), key)

    def _action(self, tenant_id: UUID | None, now: datetime | None = None) -> QueueAction:
        return QueueAction(self.unit, self.unit.scope.filter(tenant_id), now)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the tenant's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the conversation's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_segment(
        self, segment_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the segment's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.segment_id == segment_id, after=after, limit=limit
        )

    async def for_created_by_user(
        self, created_by_user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the runs that the user started, newest first."""
        return await self._newest(
            ConversationRunQueueItem.created_by_user_id == created_by_user_id,
            after=after,
            limit=limit,
        )


def _check_claim(key: int, attempt: int) -> None:
    check_count(key, "the id of a run", least=0)
    check_count(attempt, "an attempt", least=0)
