"""The items of an agent run as rows, and how a retry of one is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from agentdb.checks import check_count, check_text, check_values
from agentdb.conversations.models import AgentRunEvent
from agentdb.conversations.rows import NewRunEvent
from agentdb.errors import InvalidValueError

_IDENTITY = ("run_item_type", "run_item_name", "tool_call_id")
_CONTENT = (
    *_IDENTITY,
    "response_id",
    "role",
    "agent",
    "tool_name",
    "model",
    "content_text",
    "reasoning_text",
    "call_arguments",
    "call_output",
    "attachments",
    "workflow_run_id",
)


def checked_events(events: Iterable[NewRunEvent]) -> list[NewRunEvent]:
    """Return the items of a run, whose responses and numbers can be looked up.

    Raises:
        InvalidValueError: One is no item, or has no such response or number.
    """
    checked = check_values(events, "run events")
    for event in checked:
        if not isinstance(event, NewRunEvent):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
            raise InvalidValueError("expects NewRunEvent objects")
        if event.response_id is not None:
            check_text(event.response_id, "a response id")
        if event.sequence_no is not None:
            check_count(event.sequence_no, "a number", least=0)
    return checked


def run_event(
    event: NewRunEvent,
    conversation: UUID,
    number: int,
    workflow_run_id: str | None,
    at: datetime,
) -> AgentRunEvent:
    """Return *event* as the row with *number*."""
    return AgentRunEvent(
        conversation_id=conversation,
        workflow_run_id=workflow_run_id,
        sequence_no=number,
        response_id=event.response_id,
        run_item_type=event.run_item_type,
        run_item_name=event.run_item_name,
        role=event.role,
        agent=event.agent,
        tool_call_id=event.tool_call_id,
        tool_name=event.tool_name,
        model=event.model,
        content_text=event.content_text,
        reasoning_text=event.reasoning_text,
        call_arguments=_as_object(event.call_arguments),
        call_output=_as_object(event.call_output),
        attachments=event.attachments,
        created_at=event.created_at or at,
        ingested_at=at,
    )


def _as_object(value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return cast("dict[str, Any] | None", value)
    return {"value": value}


def is_retry(row: AgentRunEvent, event: NewRunEvent, known: Iterable[AgentRunEvent]) -> bool:
    """Whether *row* repeats a stored one: by its explicit number, else by its response."""
    if event.sequence_no is not None:
        return any(_equal(row, stored, ("sequence_no", *_CONTENT)) for stored in known)
    if row.response_id is None:
        return False
    names = _IDENTITY if row.tool_call_id is not None else (*_IDENTITY, "content_text")
    return any(_equal(row, stored, ("response_id", *names)) for stored in known)


def _equal(row: AgentRunEvent, stored: AgentRunEvent, names: Iterable[str]) -> bool:
    return all(getattr(row, name) == getattr(stored, name) for name in names)
