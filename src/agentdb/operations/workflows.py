"""Workflow runs with what hangs on them: conversation, first message, steps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from typing_extensions import Unpack

from agentdb.auth.references import user_text
from agentdb.checks import check_duration, check_fields, check_text
from agentdb.conversations.messages import message_columns
from agentdb.conversations.models import AgentConversation
from agentdb.conversations.rows import ConversationRef, MessageRow, NewMessage
from agentdb.errors import InvalidTransitionError, InvalidValueError, NotFoundError
from agentdb.unit_of_work import UnitOfWork
from agentdb.workflows.models import WorkflowRun
from agentdb.workflows.rows import RunFields
from agentdb.workflows.states import (
    check_running,
    delete_steps_softly,
    end_steps,
    lock_run,
    restore_steps,
)
from agentdb.workflows.values import CANCELLED_REASON, WorkflowStatus


class StartedRun(NamedTuple):
    """What the start of a workflow made or found.

    Attributes:
        run: The run.
        conversation: Its conversation.
        message: The message that it began with; None where none was given.
    """

    run: WorkflowRun
    conversation: AgentConversation
    message: MessageRow | None


async def start_workflow_run(
    uow: UnitOfWork,
    ref: ConversationRef,
    workflow_key: str,
    *,
    user_id: UUID,
    create: str | None = None,
    message: NewMessage | str | None = None,
    id: str | None = None,  # noqa: A002 -- named as the column
    tenant_id: UUID | None = None,
    now: datetime | None = None,
    **fields: Unpack[RunFields],
) -> StartedRun:
    """Start a run of a workflow in a conversation, with the message that asks for it.

    All or nothing. Of N concurrent first runs in a conversation all succeed, and one makes it.

    Args:
        uow: A unit of work.
        ref: The conversation.
        workflow_key: The workflow.
        user_id: Who starts it; in a tenant's unit a member of the tenant. Owns a new conversation.
        create: Agent that opens the conversation if there is none with the key *ref*.
        message: Appended to the conversation; text is one of the user. Its text is the run's
            ``request_message``, unless that is given.
        id: The id of the run, 1 to 64 characters; a new UUID unless given.
        tenant_id: The tenant, in a system unit.
        now: The clock of the start.
        fields: Further columns of the run.

    Raises:
        NotFoundError: There is no such user, or no such conversation and *create* is not given.
        DuplicateError: The id is taken.
        InvalidValueError: A value is refused, or *create* is given with an id.
    """
    check_fields(fields, RunFields)
    tenant = uow.scope.owner(tenant_id)
    said = NewMessage(role="user", content=message) if isinstance(message, str) else message
    async with uow.savepoint():
        await user_text(uow, user_id)  # whose lock comes before that of the conversation
        conversation = await _conversation(uow, ref, create, user_id, tenant)
        run = await uow.workflow_runs.start(
            workflow_key,
            user_id,
            id=id,
            conversation=conversation.id,
            tenant_id=tenant,
            now=now,
            **_with_request(fields, said),
        )
        # Last: nothing can fail after it, so that no loaded conversation tells of what was undone.
        stored = await _append(uow, conversation.id, said, tenant, now)
    return StartedRun(run, conversation, stored)


async def _conversation(
    uow: UnitOfWork, ref: ConversationRef, create: str | None, user: UUID, tenant: UUID
) -> AgentConversation:
    if create is None:
        found = await uow.agent_conversations.by_ref(ref, tenant_id=tenant)
        if found is None:
            raise NotFoundError("no such row of agent_conversations")
        return found
    if isinstance(ref, UUID):
        raise InvalidValueError("a conversation is made from its key, not from an id")
    made, _ = await uow.agent_conversations.get_or_create(
        ref, create, user_id=user, tenant_id=tenant
    )
    return made


def _with_request(fields: RunFields, message: NewMessage | None) -> RunFields:
    if message is None:
        return fields
    text: object = message_columns(message)["content"].get("text")
    return {"request_message": text if isinstance(text, str) else None, **fields}


async def _append(
    uow: UnitOfWork,
    conversation: UUID,
    message: NewMessage | None,
    tenant: UUID,
    now: datetime | None,
) -> MessageRow | None:
    if message is None:
        return None
    (row,) = await uow.agent_messages.append(conversation, [message], tenant_id=tenant, now=now)
    return row


async def cancel_run(
    uow: UnitOfWork,
    run_id: str,
    *,
    reason: str | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> bool:
    """Cancel a run that is running: the run first, then its running steps.

    A worker that finishes it later is refused. Of N concurrent calls one cancels.

    Args:
        uow: A unit of work.
        run_id: The run.
        reason: Why; kept in ``metadata_json`` under ``agentdb.cancelled_reason``.
        tenant_id: The tenant, in a system unit.
        now: The clock of the end.

    Returns:
        False if it was cancelled already; the first reason stays.

    Raises:
        NotFoundError: There is no such run.
        InvalidTransitionError: It has succeeded or failed.
        InvalidValueError: The reason is no text that a column takes.
    """
    if reason is not None:
        check_text(reason, "a reason")
    run = await lock_run(uow, run_id, tenant_id)
    if run.status == WorkflowStatus.CANCELLED:
        return False
    check_running(run)
    at = await uow.read_clock(now)
    values: dict[str, Any] = {"status": WorkflowStatus.CANCELLED, "ended_at": at}
    if reason is not None:
        values["metadata_json"] = {**(run.metadata_json or {}), CANCELLED_REASON: reason}
    await uow.workflow_runs.update(run_id, **values)
    await end_steps(uow, run_id, WorkflowStatus.CANCELLED, at)
    return True


async def soft_delete_run(
    uow: UnitOfWork,
    run_id: str,
    deleted_by: UUID,
    *,
    reason: str | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> bool:
    """Hide a run and its steps, until `restore_run` or a purge; a run may still be running.

    Args:
        uow: A unit of work.
        run_id: The run.
        deleted_by: Who deletes it; in a tenant's unit a member of the tenant.
        reason: Why.
        tenant_id: The tenant, in a system unit.
        now: The clock of the deletion.

    Returns:
        False if it was deleted already; the first time and reason stay.

    Raises:
        NotFoundError: There is no such run or user.
        InvalidValueError: The reason is refused.
    """
    uow.scope.filter(tenant_id)
    by = await user_text(uow, deleted_by)
    run = await lock_run(uow, run_id, tenant_id, include_deleted=True)
    if run.deleted_at is not None:
        return False
    at = await uow.read_clock(now)
    await uow.workflow_runs.update(run_id, deleted_at=at, deleted_by=by, deleted_reason=reason)
    await delete_steps_softly(uow, run_id, at=at, by=by, reason=reason)
    return True


async def restore_run(
    uow: UnitOfWork, run_id: str, *, tenant_id: UUID | None = None
) -> WorkflowRun:
    """Show a deleted run again, with the steps that were deleted with it; else return it as it is.

    Raises:
        NotFoundError: There is no such run, or it was purged.
    """
    run = await lock_run(uow, run_id, tenant_id, include_deleted=True)
    deleted_at = run.deleted_at
    if deleted_at is None:
        return run
    await restore_steps(uow, run_id, deleted_at)
    return await uow.workflow_runs.update(
        run_id, include_deleted=True, deleted_at=None, deleted_by=None, deleted_reason=None
    )


async def delete_run(
    uow: UnitOfWork,
    run_id: str,
    *,
    min_age: timedelta | None = None,
    tenant_id: UUID | None = None,
    now: datetime | None = None,
) -> bool:
    """Delete a run and its steps for good, whether it was hidden before or not.

    Its run events stay and name no run then; the frames of the ledger keep its id.

    Args:
        uow: A unit of work.
        run_id: The run.
        min_age: Refuse a run that was started less than this ago.
        tenant_id: The tenant, in a system unit.
        now: The clock that tells its age.

    Returns:
        False if there was none.

    Raises:
        InvalidTransitionError: It is younger than *min_age*.
        InvalidValueError: That is no length of time.
    """
    if min_age is not None:
        check_duration(min_age, "an age")
    try:
        run = await lock_run(uow, run_id, tenant_id, include_deleted=True)
    except NotFoundError:
        return False
    if min_age is not None and await uow.read_clock(now) - run.started_at < min_age:
        raise InvalidTransitionError("the run is younger than it may be deleted")
    return await uow.workflow_runs.delete(run_id, include_deleted=True)
