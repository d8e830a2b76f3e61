"""The running totals of a conversation, which only grow and stay at the largest 32-bit integer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, cast, func, literal

from agentdb.conversations.statements import conversations
from agentdb.errors import InvalidValueError
from agentdb.types import BigInteger, Integer

MAX_TOTAL = 2**31 - 1
"""Where a total stays."""


def grown(column: str, amount: int, *, postgresql: bool) -> ColumnElement[int]:
    """Return a total of the conversation with *amount* added."""
    total = cast(conversations.c[column], BigInteger())
    added = total + literal(min(amount, MAX_TOTAL), BigInteger())
    least = func.least if postgresql else func.min
    return cast(least(added, literal(MAX_TOTAL, BigInteger())), Integer())


def additions(amounts: Mapping[str, int], *, postgresql: bool) -> dict[str, Any]:
    """Return the totals that *amounts*, by column, change; those of 0 are left out.

    Raises:
        InvalidValueError: An amount is no whole number from 0.
    """
    for column, amount in amounts.items():
        if type(amount) is not int or amount < 0:
            expected = "expects a whole number from 0"
            raise InvalidValueError(expected, table="agent_conversations", column=column)
    return {
        column: grown(column, amount, postgresql=postgresql)
        for column, amount in amounts.items()
        if amount
    }
