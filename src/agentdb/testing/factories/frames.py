"""Frames of a stream, made up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

from agentdb.ledger.values import LedgerEventKind, LedgerSchemaVersion
from agentdb.types import JsonObject

REQUIRED = {"schema", "kind", "stream_id", "event_id", "server_timestamp"}
_COPIED = (
    "response_id",
    "agent",
    "provider_sequence_number",
    "output_index",
    "item_id",
    "content_index",
    "tool_call_id",
)


def is_whole(frame: object) -> TypeGuard[JsonObject]:
    """Tell whether a payload is a frame rather than any JSON."""
    return isinstance(frame, dict) and frame.keys() >= REQUIRED


def frame_of(columns: Mapping[str, Any], at: datetime) -> JsonObject:
    """Return the frame that *columns* come from."""
    frame: JsonObject = {
        "schema": columns.get("schema_version", LedgerSchemaVersion.PUBLIC_SSE_V1.value),
        "kind": columns.get("kind", LedgerEventKind.MESSAGE_DELTA.value),
        "stream_id": columns["stream_id"],
        "event_id": columns["event_id"],
        "server_timestamp": _instant(columns.get("server_timestamp", at)),
    }
    frame |= {name: columns[name] for name in _COPIED if columns.get(name) is not None}
    if columns.get("workflow_run_id") is not None:
        frame["workflow"] = {"workflow_run_id": columns["workflow_run_id"]}
    if frame["kind"] == LedgerEventKind.MESSAGE_DELTA:
        frame["delta"] = f"Word {columns['event_id']} "
    return frame


def stream(stream_id: str, count: int, at: datetime) -> list[JsonObject]:
    """Return a stream of *count* frames, numbered from 1; the last one ends it."""
    return [_frame(stream_id, number, count, at) for number in range(1, count + 1)]


def _frame(stream_id: str, number: int, count: int, at: datetime) -> JsonObject:
    kind = LedgerEventKind.MESSAGE_DELTA
    if number == 1:
        kind = LedgerEventKind.LIFECYCLE
    elif number == count:
        kind = LedgerEventKind.FINAL
    frame = frame_of({"kind": kind.value, "stream_id": stream_id, "event_id": number}, at)
    if kind is LedgerEventKind.FINAL:
        frame["final"] = {"status": "completed"}
    return frame


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
