"""Reading recorded streams: files with one ``public_sse_v1`` frame a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from agentdb.errors import InvalidValueError
from agentdb.ledger.appends import check_frames
from agentdb.ledger.frames import read_frames

MAX_FRAMES = 1000
"""Frames of one append."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of one append, about: they travel as one parameter, and PostgreSQL takes up to 1 GB."""


class BadLineError(click.ClickException):
    """A line that is no frame; the message names the file, the line and the reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")


@dataclass(slots=True)
class Batch:
    """Frames that are appended together.

    Attributes:
        frames: The frames.
        lines: The line of each, from 1.
        size: Bytes of the lines.
    """

    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lines: list[int] = field(default_factory=list[int])
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether no more should be added."""
        return len(self.frames) >= MAX_FRAMES or self.size >= MAX_BYTES

    def add(self, number: int, line: bytes, frame: dict[str, Any]) -> None:
        """Add the frame of a line."""
        self.frames.append(frame)
        self.lines.append(number)
        self.size += len(line)


def read_batches(path: Path, advance: Callable[[int], object]) -> Iterator[Batch]:
    """Yield the frames of a file in batches, so that a long one never fills the memory.

    Args:
        path: The file; empty lines are skipped.
        advance: Told the bytes of each line, for a progress bar.

    Raises:
        BadLineError: A line is no JSON, or its event id does not increase within its stream.
        FileError: The file cannot be read.
    """
    batch = Batch()
    last: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        advance(len(line))
        if not line.strip():
            continue
        try:
            frame = _json(line)
            _check_order(frame, last)
        except ValueError as error:
            raise BadLineError(path, number, str(error)) from error
        batch.add(number, line, frame)
        if batch.is_full:
            yield batch
            batch = Batch()
    if batch.frames:
        yield batch


def find_bad_line(path: Path, batch: Batch) -> None:
    """Raise the error of the first frame of *batch* that the ledger refuses.

    The ledger knows no lines, so its refusal of a batch is repeated here frame by frame.

    Raises:
        BadLineError: There is such a frame.
    """
    for number, frame in zip(batch.lines, batch.frames, strict=True):
        try:
            check_frames(read_frames([frame]))
        except InvalidValueError as error:
            raise BadLineError(path, number, str(error).removeprefix("frame 1: ")) from error


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise click.FileError(str(path), hint=error.strerror) from error


def _check_order(frame: Any, last: dict[str, int]) -> None:
    """Refuse an event id that does not increase, in a file as the ledger does in a batch.

    Args:
        frame: What may be a frame.
        last: The newest event id of each stream of the file.
    """
    match frame:
        case {"stream_id": str(stream), "event_id": int(event)}:
            if event <= last.get(stream, event - 1):
                raise ValueError("event_id must increase within its stream")
            last[stream] = event
        case _:
            pass  # no frame, which the ledger tells


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
