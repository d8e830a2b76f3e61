"""Usage: what a record leaves out, the totals that it adds to, and sums over records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, RowMapping, Text, func, null, select, update
from sqlalchemy import cast as sql_cast

from agentdb.conversations.models import AgentConversation, AgentRunUsage
from agentdb.conversations.rows import UsageFields, UsageTotals
from agentdb.conversations.statements import conversations
from agentdb.conversations.totals import additions
from agentdb.errors import InvalidValueError
from agentdb.tenancy.predicates import table_of
from agentdb.types import UTCDateTime
from agentdb.unit import Unit

_USAGE: Any = table_of(AgentRunUsage)

_TOTALS = {
    "total_tokens_prompt": "input_tokens",
    "total_tokens_completion": "output_tokens",
    "reasoning_tokens": "reasoning_output_tokens",
    "total_cached_input_tokens": "cached_input_tokens",
    "total_requests": "requests",
}
"""Totals of a conversation, and what of a run they add up."""

_COUNTED = ("total_tokens", *_TOTALS.values())


def completed(usage: UsageFields) -> dict[str, Any]:
    """Return usage as columns: nothing below 0, and what follows from the rest filled in."""
    columns: dict[str, Any] = dict(usage)
    for name in _COUNTED:
        if columns.get(name) is not None:
            columns[name] = max(0, _USAGE.c[name].type.check(columns[name]))
    if columns.get("requests") is None:
        columns["requests"] = 1
    parts = [columns.get("input_tokens"), columns.get("output_tokens")]
    if columns.get("total_tokens") is None and any(part is not None for part in parts):
        columns["total_tokens"] = sum(part or 0 for part in parts)
    return columns


async def add_totals(unit: Unit, recorded: Mapping[str, Any]) -> None:
    """Add what was recorded to the totals of its conversation, whose lock the caller holds."""
    amounts = {total: recorded.get(name) or 0 for total, name in _TOTALS.items()}
    changes = additions(amounts, postgresql=unit.is_postgresql)
    changes["updated_at"] = recorded["created_at"]
    key = recorded["conversation_id"]
    await unit.execute(update(conversations).where(conversations.c.id == key).values(**changes))
    await unit.refresh(AgentConversation, key)


async def sum_usage(
    unit: Unit, start: datetime, end: datetime, *, by: str | None, tenant: UUID | None
) -> list[UsageTotals]:
    """Return the sums of each group; see `AgentRunUsageRepository.totals`."""
    key = _key(by, postgresql=unit.is_postgresql)
    instant = UTCDateTime()
    where = [
        _USAGE.c.created_at >= instant.check(start),
        _USAGE.c.created_at < instant.check(end),
        *([] if tenant is None else [_USAGE.c.tenant_id == tenant]),
    ]
    sums = [func.coalesce(func.sum(_USAGE.c[name]), 0).label(name) for name in _COUNTED]
    query = select(key.label("key"), func.count().label("runs"), *sums).where(*where)
    if by is not None:
        query = query.group_by(key).order_by(key.is_(None), key)
    return [_totals(row, by) for row in (await unit.execute(query)).mappings()]


def _key(by: str | None, *, postgresql: bool) -> ColumnElement[Any]:
    match by:
        case None:
            return null()
        case "agent_key" | "provider":
            column: ColumnElement[Any] = _USAGE.c[by]
            return column
        case "day" if postgresql:
            return sql_cast(func.timezone("UTC", _USAGE.c.created_at), Date)
        case "day":
            return func.substr(_USAGE.c.created_at, 1, 10, type_=Text())
        case _:
            raise InvalidValueError("usage is summed by agent_key, provider or day")


def _totals(row: RowMapping, by: str | None) -> UsageTotals:
    columns: dict[str, Any] = {**row}
    if by == "day" and isinstance(columns["key"], str):
        columns["key"] = date.fromisoformat(columns["key"])
    return UsageTotals(**columns)
