"""Reading recorded streams: files with one ``public_sse_v1`` frame a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from agentdb.batch import encode_batch
from agentdb.errors import InvalidValueError
from agentdb.ledger.frames import read_frames
from agentdb.ledger.models import ConversationLedgerEvent
from agentdb.tenancy.predicates import table_of

MAX_FRAMES = 1000
"""Frames of one append."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of one append, about: they travel as one parameter, and PostgreSQL takes up to 1 GB."""

_EVENTS = table_of(ConversationLedgerEvent)


class BadLineError(click.ClickException):
    """A line that is no frame; the message names the file, the line and the reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")


def read_batches(path: Path, advance: Callable[[int], object]) -> Iterator[list[dict[str, Any]]]:
    """Yield the frames of a file in batches, so that a long one never fills the memory.

    Args:
        path: The file; empty lines are skipped.
        advance: Told the bytes of each line, for a progress bar.

    Raises:
        BadLineError: A line is no frame, or its event id does not increase within its stream.
        FileError: The file cannot be read.
    """
    batch: list[dict[str, Any]] = []
    last: dict[str, int] = {}
    size = 0
    for number, line in enumerate(_lines(path), start=1):
        advance(len(line))
        if not line.strip():
            continue
        try:
            batch.append(_frame(line, last))
        except ValueError as error:
            raise BadLineError(path, number, str(error)) from error
        size += len(line)
        if len(batch) == MAX_FRAMES or size >= MAX_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise click.FileError(str(path), hint=error.strerror) from error


def _frame(line: bytes, last: dict[str, int]) -> dict[str, Any]:
    """Return the frame of a line.

    The ledger would refuse what is refused here too, but would not know the line; and it sees one
    batch, where *last* holds the newest event id of each stream of the file.
    """
    frame = _json(line)
    try:
        encode_batch(_EVENTS, read_frames([frame]), postgresql=True)
    except InvalidValueError as error:
        raise ValueError(str(error).removeprefix("frame 1: ")) from error
    stream, event = frame["stream_id"], frame["event_id"]
    if event <= last.get(stream, event - 1):
        raise ValueError("event_id must increase within its stream")
    last[stream] = event
    return frame


def _json(line: bytes) -> dict[str, Any]:
    try:
        frame: dict[str, Any] = json.loads(line.decode())
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("no UTF-8") from error
    except ValueError as error:
        raise ValueError("a number has too many digits") from error
    except RecursionError as error:
        raise ValueError("nests too deep") from error
    return frame
