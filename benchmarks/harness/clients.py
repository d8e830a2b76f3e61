"""Several clients at once, in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def at_once(clients: Sequence[T], work: Callable[[T], Awaitable[int]]) -> int:
    """Let every client work, and return how many operations they did together."""
    return sum(await asyncio.gather(*(work(client) for client in clients)))


async def repeat(times: int, operation: Callable[[], Awaitable[object]]) -> int:
    """Do an operation some times, one after the other, and return how often."""
    for _ in range(times):
        await operation()
    return times
