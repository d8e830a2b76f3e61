"""Which events of the activity feed a page shows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from agentdb.activity.models import ActivityEvent
from agentdb.activity.rows import ActivityFilters
from agentdb.canonical import cut_user_agent


def matching(filters: ActivityFilters) -> list[ColumnElement[bool]]:
    """Return the conditions that the filters stand for."""
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    if "user_agent" in given:
        given["user_agent"] = cut_user_agent(given["user_agent"])
    since, until = given.pop("since", None), given.pop("until", None)
    where = [getattr(ActivityEvent, name) == value for name, value in given.items()]
    where += [] if since is None else [ActivityEvent.created_at >= since]
    where += [] if until is None else [ActivityEvent.created_at < until]
    return where
