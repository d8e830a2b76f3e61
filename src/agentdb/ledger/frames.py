"""Reading ``public_sse_v1`` frames: server-sent events of an agent run, one JSON object each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, cast

from agentdb.checks import check_count, check_values
from agentdb.errors import InvalidValueError, ValueTooLongError
from agentdb.types.json import PLAIN, JsonText, write_json

INLINE_LIMIT = 1024 * 1024
"""Bytes of compact JSON that a row holds by default; PostgreSQL compresses and moves values above
2 kB out of the row, and reads them back whole."""

_NOWHERE: dict[str, str | None] = {"table": None, "column": None}
_COPIED = (
    "response_id",
    "agent",
    "provider_sequence_number",
    "output_index",
    "item_id",
    "content_index",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames as they are stored.

    Attributes:
        rows: Columns of each frame, without conversation, segment and stamp.
        spilled: The JSON of those too large for their rows, by their place in *rows*.
    """

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    spilled: dict[int, str] = field(default_factory=dict[int, str])


def read_frames(
    frames: Iterable[Mapping[str, Any]], inline_limit: int = INLINE_LIMIT
) -> list[dict[str, Any]]:
    """Return the rows of *frames*, none of which may be too large for its row.

    Raises:
        InvalidValueError: As of `read_batch`.
        ValueTooLongError: A frame is larger than *inline_limit* bytes.
    """
    return read_batch(frames, inline_limit).rows


def read_batch(
    frames: Iterable[Mapping[str, Any]], inline_limit: int = INLINE_LIMIT, *, spills: bool = False
) -> Batch:
    """Return the rows of *frames*, and what is too large for them.

    Args:
        frames: The frames, in order.
        inline_limit: Bytes of compact JSON that a row holds.
        spills: Whether there is a store for larger ones.

    Raises:
        InvalidValueError: A frame lacks a required field, holds what JSON cannot, or its event_id
            does not increase within its stream; the message counts frames from 1.
        ValueTooLongError: A frame is larger than *inline_limit* bytes, and nothing is spilled.
    """
    check_count(inline_limit, "an inline limit", least=0)
    batch = Batch()
    last: dict[str, int] = {}
    for number, frame in enumerate(check_values(frames, "frames"), start=1):
        row = _read_frame(_plain(frame, number), number)
        stream, event = row["stream_id"], row["event_id"]
        if stream in last and event <= last[stream]:
            _refuse(number, "event_id must increase within its stream")
        last[stream] = event
        if row["payload_size_bytes"] > inline_limit:
            if not spills:
                raise _too_large(number, row["payload_size_bytes"], inline_limit)
            batch.spilled[len(batch.rows)] = row.pop("payload_json")
        batch.rows.append(row)
    return batch


def check_event_id(event_id: int) -> None:
    """Refuse what can be no event id, 0 for none included.

    Raises:
        InvalidValueError: It is no whole number from 0 of 64 bits.
    """
    check_count(event_id, "an event id", least=0)


def _refuse(number: int, message: str) -> NoReturn:
    raise InvalidValueError(f"frame {number}: {message}")


def _too_large(number: int, size: int, inline_limit: int) -> ValueTooLongError:
    message = f"frame {number}: {size} bytes, more than {inline_limit} need an object store"
    return ValueTooLongError(message, limit=inline_limit)


def _plain(frame: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a frame as a dict, its members of an enumeration as the text that they are."""
    if not isinstance(frame, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        _refuse(number, "expects a JSON object")
    if PLAIN.issuperset(map(type, frame.values())) and type(frame) is dict:
        return cast("dict[str, Any]", frame)
    values = frame.items()
    return {k: str.__str__(v) if isinstance(v, str) else v for k, v in values}


def _read_frame(frame: dict[str, Any], number: int) -> dict[str, Any]:
    for name, kind in _REQUIRED.items():
        if type(frame.get(name)) is not kind:
            _refuse(number, f"{name} is required, as {_NAMES[kind]}")
    if frame["event_id"] < 0:
        _refuse(number, "event_id must not be negative")
    payload = JsonText(write_json(frame, _NOWHERE))
    return {
        "schema_version": frame["schema"],
        "kind": frame["kind"],
        "stream_id": frame["stream_id"],
        "event_id": frame["event_id"],
        "server_timestamp": _instant(frame["server_timestamp"], number),
        "workflow_run_id": _within(frame, "workflow", "workflow_run_id"),
        "tool_call_id": frame.get("tool_call_id") or _within(frame, "tool", "tool_call_id"),
        "payload_size_bytes": len(payload.encode()),
        "payload_json": payload,
        **{name: frame.get(name) for name in _COPIED},
    }


_REQUIRED: dict[str, type[Any]] = {
    "schema": str,
    "kind": str,
    "stream_id": str,
    "event_id": int,
    "server_timestamp": str,
}
_NAMES: dict[type[Any], str] = {str: "text", int: "an integer"}


def _instant(text: str, number: int) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _refuse(number, "server_timestamp is no ISO 8601 instant")
    if instant.tzinfo is None:
        _refuse(number, "server_timestamp needs a time zone")
    return instant


def _within(frame: Mapping[str, Any], outer: str, name: str) -> Any:
    inner: Any = frame.get(outer)
    return cast("dict[str, Any]", inner).get(name) if isinstance(inner, dict) else None
