"""The replayable stream of a conversation, and the queue of its runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row

from agentdb.batch import encode_batch
from agentdb.conversations.refs import lock_by_ref, require_by_ref
from agentdb.conversations.rows import ConversationRef
from agentdb.errors import ResyncRequiredError
from agentdb.ledger.frames import INLINE_LIMIT, check_event_id, read_frames
from agentdb.ledger.models import (
    ConversationLedgerEvent,
    ConversationLedgerSegment,
    ConversationRunQueueItem,
)
from agentdb.ledger.rows import LedgerFrame, LedgerPage, Recorded
from agentdb.ledger.segments import open_segment
from agentdb.ledger.statements import (
    append_frames,
    find_frame,
    newest_stamps,
    recorded_frames,
    replay,
)
from agentdb.paging import Page, check_limit, decode_cursor, encode_cursor, fingerprint
from agentdb.repository import VerbWrittenRepository
from agentdb.tenancy.predicates import table_of

MAX_REPLAY = 1000
"""Frames of one replay at the most."""


def _active(conversation: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    segment = ConversationLedgerSegment
    return segment.conversation_id == conversation, segment.truncated_at.is_(None)


def _by_frame(rows: Iterable[Row[Any]]) -> dict[tuple[str, int], int]:
    return {(row.stream_id, row.event_id): row.id for row in rows}


def _seal(conversation: UUID, filters: Mapping[str, Any]) -> str:
    return fingerprint((), "replay", conversation, sorted(filters.items()))


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
        inline_limit: int = INLINE_LIMIT,
        tenant_id: UUID | None = None,
        now: datetime | None = None,
    ) -> list[Recorded]:
        """Append ``public_sse_v1`` frames, in order, to the active segment of a conversation.

        A frame that is recorded already (same stream and event id) is skipped and the rest stored,
        so that a batch may be sent again. Concurrent appends of one conversation follow each other,
        and the order of the row ids is the order of the commits: a reader who has seen an id never
        misses a smaller one. Nothing lands in a truncated segment.

        Args:
            ref: The conversation; a frame's own ``conversation_id`` does not route it.
            frames: JSON objects with ``schema``, ``kind``, ``stream_id``, ``event_id`` (increasing
                within its stream) and ``server_timestamp``; an unknown kind is stored like any.
            inline_limit: Bytes of compact JSON that a frame may have.
            tenant_id: The tenant, in a system unit.
            now: The clock of the append.

        Returns:
            What became of each frame, in order.

        Raises:
            NotFoundError: The tenant has no such conversation.
            InvalidValueError: A frame is malformed or too large; nothing is stored.
        """
        tenant = self.unit.scope.owner(tenant_id)
        rows = read_frames(frames, inline_limit)
        batch = encode_batch(table_of(self.model), rows, postgresql=self.unit.is_postgresql)
        conversation = await lock_by_ref(self.unit, ref, tenant)
        if not rows:
            return []
        parameters = {"conversation": conversation, "tenant": tenant, **batch}
        # No savepoint: the values are checked and the conversation is locked, nothing can fail.
        return await self._record(parameters, rows, now)

    async def _record(
        self, parameters: dict[str, Any], rows: Sequence[Mapping[str, Any]], now: datetime | None
    ) -> list[Recorded]:
        found = await self._insert(parameters, now)
        fresh = set(found)
        if len(found) < len(rows):
            found |= await self._recorded(parameters)
        if len(found) < len(rows):
            await open_segment(self.unit, parameters["conversation"], parameters["tenant"])
            opened = await self._insert(parameters, now)
            found, fresh = {**found, **opened}, {*fresh, *opened}
        frames = [(row["stream_id"], row["event_id"]) for row in rows]
        return [Recorded(found[frame], frame in fresh) for frame in frames]

    async def _insert(
        self, parameters: dict[str, Any], now: datetime | None
    ) -> dict[tuple[str, int], int]:
        moment: dict[str, Any] = {"now": self.unit.frozen(now)}
        if not self.unit.is_postgresql:
            newest = (await self.unit.execute(newest_stamps(), parameters)).one()
            moment = {"at": self.unit.stamp(now, newest.message, newest.frame)}
        statement = append_frames(postgresql=self.unit.is_postgresql)
        return _by_frame(await self.unit.execute(statement, {**parameters, **moment}))

    async def _recorded(self, parameters: dict[str, Any]) -> dict[tuple[str, int], int]:
        statement = recorded_frames(postgresql=self.unit.is_postgresql)
        return _by_frame(await self.unit.execute(statement, parameters))

    async def replay(
        self,
        ref: ConversationRef,
        *,
        after: str | None = None,
        limit: int = 500,
        workflow_run_id: str | None = None,
        stream_id: str | None = None,
        kinds: Collection[str] | None = None,
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
            kinds: Only frames of these kinds.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            ResyncRequiredError: The frame at the cursor was truncated away or purged since.
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        check_limit(limit, MAX_REPLAY)
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        filters: dict[str, Any] = {"workflow_run_id": workflow_run_id, "stream_id": stream_id}
        if kinds is not None:
            filters["kinds"] = sorted(set(kinds))
        filters = {name: value for name, value in filters.items() if value is not None}
        seal = _seal(conversation, filters)
        position = 0 if after is None else decode_cursor(seal, after, [int])[0]
        return await self._replay(conversation, filters, position, limit)

    async def resume(
        self,
        ref: ConversationRef,
        stream_id: str,
        last_event_id: int,
        *,
        limit: int = 500,
        tenant_id: UUID | None = None,
    ) -> LedgerPage:
        """Return what follows the last frame of a stream that a client has seen.

        What a browser needs that reconnects with ``Last-Event-ID``. The cursor continues with
        `replay` of the same ``stream_id``.

        Args:
            ref: The conversation.
            stream_id: The stream that the client follows.
            last_event_id: The last event id that it has seen, 0 for none. An id above the newest
                recorded one is not stored yet: the page is empty.
            limit: Frames of a page, 1 to 1000.
            tenant_id: The tenant, in a system unit.

        Raises:
            NotFoundError: There is no such conversation.
            ResyncRequiredError: The frame was truncated away or purged, or never recorded although
                later ones are.
            InvalidValueError: The event id or the limit is none.
        """
        check_limit(limit, MAX_REPLAY)
        check_event_id(last_event_id)
        conversation = await require_by_ref(self.unit, ref, tenant_id)
        filters = {"stream_id": stream_id}
        position, newest = await self._find(conversation, stream_id, last_event_id)
        if position is not None or last_event_id == 0:
            return await self._replay(conversation, filters, position or 0, limit)
        if newest is None or last_event_id > newest:
            return LedgerPage((), encode_cursor(_seal(conversation, filters), [0]), more=False)
        raise ResyncRequiredError("the position of the client is no longer in the ledger")

    async def _find(
        self, conversation: UUID, stream: str, event: int
    ) -> tuple[int | None, int | None]:
        parameters = {"conversation": conversation, "stream": stream, "event": event}
        statement = find_frame(confined=self.unit.tenant is not None)
        row = (await self.unit.execute(statement, self._confine(parameters))).one()
        return row.position, row.newest

    async def _replay(
        self, conversation: UUID, filters: Mapping[str, Any], position: int, limit: int
    ) -> LedgerPage:
        """Read on from *position*: its own frame comes first and proves that it still stands."""
        statement = replay(
            frozenset(filters),
            confined=self.unit.tenant is not None,
            postgresql=self.unit.is_postgresql,
        )
        parameters = {"conversation": conversation, "after": position, "limit": limit + 2}
        rows = await self.unit.execute(statement, self._confine({**parameters, **filters}))
        frames = [LedgerFrame(**row) for row in rows.mappings()]
        if position:
            if not frames or frames[0].id != position:
                raise ResyncRequiredError("the position of the reader is no longer in the ledger")
            frames = frames[1:]
        items = tuple(frames[:limit])
        last = items[-1].id if items else position
        cursor = encode_cursor(_seal(conversation, filters), [last])
        return LedgerPage(items, cursor, more=len(frames) > limit)

    def _confine(self, parameters: dict[str, Any]) -> dict[str, Any]:
        tenant = self.unit.tenant
        return parameters if tenant is None else {**parameters, "tenant": tenant}

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


class ConversationRunQueueItemRepository(VerbWrittenRepository[ConversationRunQueueItem, int]):
    """Runs that wait for, hold or held their conversation."""

    model = ConversationRunQueueItem
    verb = "enqueue"

    async def for_tenant(
        self, tenant_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the tenant's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.tenant_id == tenant_id, after=after, limit=limit
        )

    async def for_conversation(
        self, conversation_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the conversation's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.conversation_id == conversation_id, after=after, limit=limit
        )

    async def for_segment(
        self, segment_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the segment's runs, newest first."""
        return await self._newest(
            ConversationRunQueueItem.segment_id == segment_id, after=after, limit=limit
        )

    async def for_created_by_user(
        self, created_by_user_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[ConversationRunQueueItem]:
        """Return a page of the runs that the user started, newest first."""
        return await self._newest(
            ConversationRunQueueItem.created_by_user_id == created_by_user_id,
            after=after,
            limit=limit,
        )
