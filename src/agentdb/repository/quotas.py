"""How many rows a tenant may have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from agentdb.checks import check_count
from agentdb.errors import QuotaExceededError
from agentdb.repository import Repository


async def check_quota(
    rows: Repository[Any, Any], own: ColumnElement[bool], most: int | None, what: str
) -> None:
    """Refuse one row more than a tenant may have; the unit holds the lock of the tenant.

    Args:
        rows: The table.
        own: Whether a row is the tenant's; those that are deleted do not count.
        most: How many it may have; None for no limit.
        what: The name of the rows, for messages.

    Raises:
        QuotaExceededError: It has as many already.
        InvalidValueError: The limit is no number of rows.
    """
    if most is None:
        return
    check_count(most, f"a number of {what}", least=0)
    if await rows.count(own) >= most:
        raise QuotaExceededError(f"the tenant has {most} {what} already")
