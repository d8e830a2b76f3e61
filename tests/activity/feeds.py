"""Members, events and what the tests expect of an inbox, by plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from agentdb import UnitOfWork
from agentdb.models import ActivityEvent


async def recorded(uow: UnitOfWork, *stamps: datetime) -> list[ActivityEvent]:
    """Record an event at each instant and return them in the order of the feed, oldest first."""
    events = [await uow.activity_events.record("host.done", now=at) for at in stamps]
    return sorted(events, key=lambda event: (event.created_at, event.id))


@dataclass
class Feed:
    """What a member has read, as the promise says it.

    Attributes:
        receipts: The states that were given to events.
        checkpoint: How far was read; an event id of None is the end of the instant.
    """

    receipts: dict[UUID, str] = field(default_factory=dict[UUID, str])
    checkpoint: tuple[datetime, UUID | None] | None = None

    def advance(self, at: datetime, event: UUID | None) -> None:
        """Move the checkpoint, never back."""
        if self.checkpoint is None or _place(at, event) > _place(*self.checkpoint):
            self.checkpoint = (at, event)

    def read_all(self, events: Iterable[ActivityEvent]) -> None:
        """Read all there is."""
        places = [(event.created_at, event.id) for event in events]
        if places:
            self.advance(*max(places))
        for key, state in self.receipts.items():
            self.receipts[key] = "read" if state == "unread" else state

    def state(self, event: ActivityEvent) -> str:
        """Return what an event is to the member."""
        if event.id in self.receipts:
            return self.receipts[event.id]
        place = _place(event.created_at, event.id)
        seen = self.checkpoint is not None and place <= _place(*self.checkpoint)
        return "read" if seen else "unread"

    def inbox(self, events: Iterable[ActivityEvent]) -> list[tuple[UUID, str]]:
        """Return the events with their states, newest first."""
        order = sorted(events, key=lambda event: (event.created_at, event.id), reverse=True)
        return [(event.id, self.state(event)) for event in order]


def _place(at: datetime, event: UUID | None) -> tuple[datetime, bool, int]:
    return at, event is None, 0 if event is None else event.int
