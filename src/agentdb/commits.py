"""What runs to its end whatever happens to the task that asked for it, as COMMIT does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* to its end even if this task is cancelled, which is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:  # noqa: BLE001 -- that of the task, which its result raises below
            break
    task.result()
    if cancelled is not None:
        raise cancelled
