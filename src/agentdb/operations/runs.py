"""The end of an agent's turn: all that it leaves, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from agentdb.activity.rows import ActivityFields
from agentdb.activity.values import ActivityAction, ActivityObjectType
from agentdb.auth.models import User
from agentdb.checks import check_count, check_fields, check_text
from agentdb.conversations.models import AgentRunUsage
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import (
    ConversationRef,
    MessageRow,
    NewMessage,
    NewRunEvent,
    SessionState,
    UsageFields,
)
from agentdb.conversations.statements import conversations
from agentdb.errors import ConflictError, InvalidValueError
from agentdb.operations.undoing import undo_with
from agentdb.tenancy.predicates import members_of, table_of
from agentdb.unit_of_work import UnitOfWork

_DAY = timedelta(days=1)


class RunActivity(ActivityFields, total=False):
    """The event of a run; by default the conversation's, that a run of it was completed."""

    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What the end of a run has stored.

    Attributes:
        applied: False if the response was stored before: nothing was written.
        messages: The messages that were appended, in order.
    """

    applied: bool
    messages: tuple[MessageRow, ...] = ()


async def complete_run(
    uow: UnitOfWork,
    ref: ConversationRef,
    response_id: str,
    usage: UsageFields,
    *,
    messages: Sequence[NewMessage] = (),
    run_events: Sequence[NewRunEvent] = (),
    workflow_run_id: str | None = None,
    session_state: SessionState | None = None,
    features: Mapping[str, int] | None = None,
    activity: RunActivity | None = None,
    queue_item: tuple[int, int] | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> Completed:
    """Store the end of a run: messages, events, what it consumed, and that it is done.

    All or nothing, and once: of N concurrent calls with one response id, one writes. What the run
    consumed is added to the totals of the conversation, to the day's counter of its owner (or of
    nobody, where it has none that is still a member) and to the current subscription.

    Args:
        uow: A unit of work.
        ref: The conversation.
        response_id: The provider's id of the response.
        usage: What the run has consumed.
        messages: Appended as one batch.
        run_events: The items of the run.
        workflow_run_id: The run of a workflow that the items belong to.
        session_state: Where the provider's session stands.
        features: How much of which features was used, added to the current subscription in the
            bucket of the UTC day; left out where the tenant has none.
        activity: Event to record; empty for the usual one, None for none.
        queue_item: Id and attempt of the queued run, which is completed with the rest.
        tenant_id: The tenant, in a system unit.
        now: The clock of the end.

    Raises:
        NotFoundError: The tenant has no such conversation or run of a workflow.
        LeaseLostError: The worker does not hold the queued run any more.
        ConflictError: The response is recorded for another conversation, the queued run belongs to
            another one, or the number of an item is taken.
        InvalidValueError: A value is refused.
    """
    tenant = uow.scope.owner(tenant_id)
    check_text(response_id, "a response id")
    check_fields(usage, UsageFields)
    check_fields(session_state or {}, SessionState)
    check_fields(activity or {}, RunActivity)
    _check_claim(queue_item)
    used = _checked_features(features or {})
    owner = await _lock_owner(uow, ref, tenant)
    conversation = await lock_by_ref(uow, ref, tenant)
    end = _End(uow, tenant, conversation, await uow.read_clock(now))
    async with undo_with(uow) as touch:
        touch(conversation)
        record = uow.agent_run_usage.record
        recorded, new = await record(
            conversation, response_id=response_id, tenant_id=tenant, now=end.at, **usage
        )
        if not new:
            return Completed(applied=False)
        if session_state:
            await uow.agent_conversations.set_session_state(
                conversation, tenant_id=tenant, now=end.at, **session_state
            )
        rows = await end.append(messages, run_events, workflow_run_id)
        await end.complete(queue_item)
        await end.count(owner, recorded, used)
        await end.tell(activity)
    return Completed(applied=True, messages=tuple(rows))


def _checked_features(features: Mapping[str, int]) -> dict[str, int]:
    """Return what was used of features, also where there is no subscription to count it for."""
    if not isinstance(features, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects quantities by feature")
    return {
        check_text(feature, "a feature"): check_count(quantity, "a quantity", least=0)
        for feature, quantity in features.items()
    }


def _check_claim(claimed: tuple[int, int] | None) -> None:
    if claimed is None:
        return
    if type(claimed) is not tuple or len(claimed) != 2:  # noqa: PLR2004 -- a pair
        raise InvalidValueError("expects the id and the attempt of a queued run")
    for number in claimed:
        check_count(number, "an id or an attempt", least=0)


async def _lock_owner(uow: UnitOfWork, ref: ConversationRef, tenant: UUID) -> UUID | None:
    """Return the owner, if a member, and keep them: users are locked before conversations."""
    users: Any = table_of(User)
    conversation = await require_by_ref(uow, ref, tenant)
    mine = select(conversations.c.user_id).where(conversations.c.id == conversation)
    query = select(users.c.id).where(
        users.c.id == mine.scalar_subquery(), users.c.id.in_(members_of(tenant))
    )
    found = await uow.execute(query.with_for_update(read=True, key_share=True))
    owner: UUID | None = found.scalar_one_or_none()
    return owner


@dataclass(frozen=True, slots=True)
class _End:
    """The parts of the end of a run, in the order in which their rows are locked."""

    uow: UnitOfWork
    tenant: UUID
    conversation: UUID
    at: datetime

    async def append(
        self,
        messages: Sequence[NewMessage],
        events: Sequence[NewRunEvent],
        workflow_run: str | None,
    ) -> list[MessageRow]:
        """Append what was said and done."""
        stored = await self.uow.agent_messages.append(
            self.conversation, messages, tenant_id=self.tenant, now=self.at
        )
        await self.uow.agent_run_events.append(
            self.conversation,
            events,
            workflow_run_id=workflow_run,
            tenant_id=self.tenant,
            now=self.at,
        )
        return stored

    async def complete(self, claimed: tuple[int, int] | None) -> None:
        """Complete the queued run."""
        if claimed is None:
            return
        queue, (key, attempt) = self.uow.conversation_run_queue_items, claimed
        item = await queue.complete(key, attempt, tenant_id=self.tenant, now=self.at)
        if item.conversation_id != self.conversation:
            raise ConflictError("the queued run belongs to another conversation")

    async def count(
        self, owner: UUID | None, recorded: AgentRunUsage, features: Mapping[str, int]
    ) -> None:
        """Count what the run has consumed for the subscription and for its owner."""
        day = self.at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if features:
            await self._count_features(features, day)
        await self.uow.usage_counters.increment(
            owner,
            day.date(),
            input_tokens=recorded.input_tokens or 0,
            output_tokens=recorded.output_tokens or 0,
            requests=recorded.requests or 0,
            tenant_id=self.tenant,
            now=self.at,
        )

    async def _count_features(self, features: Mapping[str, int], day: datetime) -> None:
        subscription = await self.uow.tenant_subscriptions.current(tenant_id=self.tenant)
        if subscription is None:
            return
        # In one order everywhere, so that two runs never wait for each other.
        for feature, quantity in sorted(features.items()):
            await self.uow.subscription_usage.increment(
                subscription.id, feature, quantity, day, day + _DAY, now=self.at
            )

    async def tell(self, activity: RunActivity | None) -> None:
        """Record the event."""
        if activity is None:
            return
        event: dict[str, Any] = {
            "action": ActivityAction.CONVERSATION_RUN_COMPLETED,
            "object_type": ActivityObjectType.CONVERSATION,
            "object_id": str(self.conversation),
            **activity,
        }
        await self.uow.activity_events.record(tenant_id=self.tenant, now=self.at, **event)
