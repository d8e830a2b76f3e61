"""The replayable stream of a conversation, and the queue of its runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from agentdb.checks import check_text
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import ResyncRequiredError
from agentdb.ledger.appends import append_batch, append_spilling
from agentdb.ledger.frames import INLINE_LIMIT, read_batch
from agentdb.ledger.models import (
    ConversationLedgerEvent,
    ConversationLedgerSegment,
)
from agentdb.ledger.payloads import cites, fill, locate_objects, read_payload
from agentdb.ledger.queue.repository import ConversationRunQueueItemRepository
from agentdb.ledger.replays import MAX_REPLAY, Position, Reading, locate
from agentdb.ledger.rows import LedgerPage, Recorded
from agentdb.ledger.segments import open_segment
from agentdb.objects import ObjectStore
from agentdb.paging import Page
from agentdb.repository import VerbWrittenRepository
from agentdb.types import JsonObject

__all__ = [
    "MAX_REPLAY",
    "ConversationLedgerEventRepository",
    "ConversationLedgerSegmentRepository",
    "ConversationRunQueueItemRepository",
]


def _active(conversation: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    segment = ConversationLedgerSegment
    return segment.conversation_id == conversation, segment.truncated_at.is_(None)


class ConversationLedgerSegmentRepository(VerbWrittenRepository[ConversationLedgerSegment, UUID]):
    """Segments of conversations; all but the active one are truncated."""

    model = ConversationLedgerSegment
    verb = "active"

    async def active(
        self, ref: ConversationRef, *, tenant_id: UUID | None = None
    ) -> ConversationLedgerSegment:
        """Return the active segment of a conversation, opened on first use.

        Race-safe: the conversation is locked until the unit ends.

        Raises:
            NotFoundError: The tenant has no such conversation.
        """
        tenant = self.unit.scope.owner(tenant_id)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        found = await self.find(*_active(conversation))
        if found is not None:
            return found
        await open_segment(self.unit, conversation, tenant)
        return await self.one(*_active(conversation))

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerSegment]:
        """Return a page of the tenant's segments, newest first."""
        return await self._newest(
            ConversationLedgerSegment.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerSegment]:
        """Return a page of the conversation's segments, newest first."""
        return await self._newest(
            ConversationLedgerSegment.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_parent_segment(
        self, parent_segment_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerSegment]:
        """Return a page of the segments that follow the segment, newest first."""
        return await self._newest(
            ConversationLedgerSegment.parent_segment_id == parent_segment_id,
            after=after,
            limit=limit,
        )


class ConversationLedgerEventRepository(VerbWrittenRepository[ConversationLedgerEvent, int]):
    """Frames, in the order of their ids."""

    model = ConversationLedgerEvent
    newest = "id"
    verb = "append"

    async def append(
        self,
        ref: ConversationRef,
        frames: Iterable[Mapping[str, Any]],
        *,
        store: ObjectStore | None = None,
        inline_limit: int = INLINE_LIMIT,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> list[Recorded]:
        """Append ``public_sse_v1`` frames, in order, to the active segment of a conversation.

        A frame that is recorded already (same stream and event id) is skipped and the rest stored,
        so that a batch may be sent again. Concurrent appends of one conversation follow each other,
        and the order of the row ids is the order of the commits: a reader who has seen an id never
        misses a smaller one. Nothing lands in a truncated segment.

        A frame above *inline_limit* goes gzipped to *store*, before the conversation is locked; its
        object and its row then commit together. A unit that rolls back leaves the bytes in the
        store; the same frame sent again overwrites them. Of different frames that are sent at once
        under one id, the first is recorded, and the bytes of the others stay in the store.

        Frames of one call have to be in order; an event id below a recorded one is stored where it
        comes: a delivery that was late is not lost.

        Args:
            ref: The conversation; a frame's own ``conversation_id`` does not route it.
            frames: JSON objects with ``schema``, ``kind``, ``stream_id``, ``event_id`` (increasing
                within its stream) and ``server_timestamp``; an unknown kind is stored like any.
            store: Takes larger frames. The bucket of the tenant with its name stands for it, made
                if there is none.
            inline_limit: Bytes of compact JSON that a row holds.
            tenant_id: The tenant, in a system unit.
            now: The clock of the append.

        Returns:
            What became of each frame, in order.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A frame is malformed, or too large without a store; nothing is
                stored.
        """
        tenant = self.unit.scope.owner(tenant_id)
        batch = read_batch(frames, inline_limit, spills=store is not None)
        if store is not None and batch.spilled:
            return await append_spilling(self.unit, ref, tenant, batch, now, store=store)
        return await append_batch(self.unit, ref, tenant, batch, now)

    async def payload(
        self, key: int, *, store: ObjectStore | None = None, tenant_id: UUID | None = None
    ) -> JsonObject:
        """Return the whole frame of a row, hidden or not.

        Args:
            key: The row.
            store: Where larger frames are. It is read within the unit.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such row, or the store has lost its object.
            InvalidValueError: The frame is in a store, and none is given.
            CorruptObjectError: The object is not the one that was recorded: its SHA-256 differs.
        """
        return await read_payload(self.unit, key, self.unit.scope.filter(tenant_id), store)

    async def replay(
        self,
        ref: ConversationRef,
        *,
        after: str | None = None,
        limit: int = 500,
        workflow_run_id: str | None = None,
        stream_id: str | None = None,
        kinds: Collection[str] | None = None,
        store: ObjectStore | None = None,
        tenant_id: UUID | None = None,
    ) -> LedgerPage:
        """Return the visible frames of a conversation after a position, in commit order.

        A reader who follows the cursors sees each frame once, in order, while others append.

        Args:
            ref: The conversation.
            after: The cursor of the page before; None starts.
            limit: Frames of a page, 1 to 1000.
            workflow_run_id: Only frames of this run.
            stream_id: Only frames of this stream.
            kinds: Only frames of these kinds, 1,000 at the most.
            store: Where larger frames are; without it they come without ``raw`` and ``payload``.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation, or the store has lost an object.
            ResyncRequiredError: The frame at the cursor was truncated away or purged since.
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none, or a kind is no text.
            CorruptObjectError: An object is not the one that was recorded.
        """
        place = await locate(self.unit, ref, tenant_id)
        reading = Reading.of(
            place, workflow_run_id=workflow_run_id, stream_id=stream_id, kinds=kinds
        )
        return await self._page(reading, reading.decode(after), limit, store)

    async def resume(
        self,
        ref: ConversationRef,
        stream_id: str,
        last_event_id: int,
        *,
        limit: int = 500,
        store: ObjectStore | None = None,
        tenant_id: UUID | None = None,
    ) -> LedgerPage:
        """Return what follows the last frame of a stream that a client has seen.

        What a browser needs that reconnects with ``Last-Event-ID``. The cursor continues with
        `replay` of the same ``stream_id``.

        Args:
            ref: The conversation.
            stream_id: The stream that the client follows.
            last_event_id: The last event id that it has seen, 0 for none. An id above the newest
                recorded one is not stored yet: the page is empty, and its cursor leads to what
                will follow that id.
            limit: Frames of a page, 1 to 1000.
            store: Where larger frames are; without it they come without ``raw`` and ``payload``.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation, or the store has lost an object.
            ResyncRequiredError: The frame was truncated away or purged, or never recorded although
                later ones are.
            InvalidValueError: The event id or the limit is none.
            CorruptObjectError: An object is not the one that was recorded.
        """
        check_text(stream_id, "a stream id")
        reading = Reading.of(await locate(self.unit, ref, tenant_id), stream_id=stream_id)
        position = await reading.after_event(self.unit, last_event_id)
        return await self._page(reading, position, limit, store)

    async def _page(
        self, reading: Reading, position: Position, limit: int, store: ObjectStore | None
    ) -> LedgerPage:
        try:
            page = await reading.page(self.unit, position, limit)
        except ResyncRequiredError:
            await reading.require(self.unit)
            raise
        if store is None:
            return page
        found = await locate_objects(self.unit, page)
        return replace(page, items=tuple([await fill(frame, found, store) for frame in page]))

    async def cites_container_file(
        self,
        ref: ConversationRef,
        container_id: str,
        file_id: str,
        *,
        tenant_id: UUID | None = None,
    ) -> bool:
        """Return whether a visible citation of the conversation names the file of a container.

        Who may read the conversation may so be let at the file. Citations in an object store do not
        count: they take more than the inline limit.

        Raises:
            NotFoundError: There is no such conversation.
        """
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        return await cites(self.unit, conversation, container_id, file_id)

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerEvent]:
        """Return a page of the tenant's frames, newest first."""
        return await self._newest(
            ConversationLedgerEvent.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerEvent]:
        """Return a page of the conversation's frames, newest first."""
        return await self._newest(
            ConversationLedgerEvent.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_segment(
        self, segment_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerEvent]:
        """Return a page of the segment's frames, newest first."""
        return await self._newest(
            ConversationLedgerEvent.segment_id == segment_id, after=after, limit=limit
        )

    async def for_payload_object(
        self, payload_object_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationLedgerEvent]:
        """Return a page of the frames whose payload is in the object, newest first."""
        return await self._newest(
            ConversationLedgerEvent.payload_object_id == payload_object_id, after=after, limit=limit
        )
