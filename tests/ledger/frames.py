"""Frames for tests, and the recorded streams that a folder may hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

STREAMS = "AGENTDB_STREAMS"


def frame(event_id: int, stream_id: str = "s1", **fields: Any) -> dict[str, Any]:
    """Return a frame with the required fields."""
    return {
        "schema": "public_sse_v1",
        "kind": "message.delta",
        "stream_id": stream_id,
        "event_id": event_id,
        "server_timestamp": f"2026-01-02T03:04:{event_id % 60:02}.500Z",
        **fields,
    }


def frames(count: int, stream_id: str = "s1") -> list[dict[str, Any]]:
    """Return a stream of *count* frames, numbered from 1."""
    return [frame(number, stream_id) for number in range(1, count + 1)]


def recorded_streams() -> list[Path]:
    """Return the recorded streams of the folder that the environment names."""
    folder = os.environ.get(STREAMS)
    return sorted(Path(folder).glob("*.ndjson")) if folder else []


def read_stream(path: Path) -> list[dict[str, Any]]:
    """Return the frames of a recorded stream."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
