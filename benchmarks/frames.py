"""Frames as an agent streams them, for the workloads of the ledger."""

from __future__ import annotations

from itertools import count
from typing import Any

BATCH = 100
"""Frames that are appended at once."""

_streams = count(1)


def new_batch(size: int = BATCH) -> list[dict[str, Any]]:
    """Return the frames of a stream that nobody has sent before."""
    stream = f"stream-{next(_streams)}"
    return [
        {
            "schema": "public_sse_v1",
            "kind": "message.delta",
            "stream_id": stream,
            "event_id": number,
            "server_timestamp": "2026-01-01T00:00:00.000Z",
            "delta": "some text of a typical length for one delta",
        }
        for number in range(1, size + 1)
    ]
