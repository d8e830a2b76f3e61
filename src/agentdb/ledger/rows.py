"""What the ledger returns: plain rows, no entities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

_parse = json.JSONDecoder().decode
"""What `json.loads` does with text, once it knows that it is some."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a frame.

    Attributes:
        id: Its row.
        inserted: False where the frame was recorded before.
    """

    id: int
    inserted: bool


class LedgerFrame(NamedTuple):
    """A recorded frame.

    Attributes:
        id: Its row; the order of a replay.
        raw: The whole frame as JSON text, as the database gives it back; None where it is in an
            object store.
        payload_object_id: The object that holds it, for a frame too large for the row.
        payload_size_bytes: Bytes of its compact UTF-8 JSON.
    """

    id: int
    stream_id: str
    event_id: int
    kind: str
    server_timestamp: datetime
    ingested_at: datetime
    response_id: str | None
    agent: str | None
    workflow_run_id: str | None
    raw: str | None
    payload_object_id: UUID | None
    payload_size_bytes: int | None

    @property
    def payload(self) -> dict[str, Any] | None:
        """The whole frame, parsed at each call; None where it is in an object store."""
        return None if self.raw is None else _parse(self.raw)


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A stretch of a replay.

    Attributes:
        items: The frames, in the order in which they were committed.
        cursor: Continues after the last of them; where there is none, at the position that was
            asked for, so that a reader who has caught up can go on later.
        more: Whether frames follow already.
    """

    items: tuple[LedgerFrame, ...]
    cursor: str
    more: bool

    def __iter__(self) -> Iterator[LedgerFrame]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def frames_topic(conversation: UUID) -> str:
    """Return the topic of hints that frames of a conversation were committed."""
    return f"frames:{conversation.hex}"
