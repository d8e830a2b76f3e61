"""The verb of a database that follows a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from uuid import UUID

from agentdb.conversations.rows import ConversationRef
from agentdb.ledger.tail import Source, Tail, Wanted
from agentdb.objects import ObjectStore


class Tailing:
    """What `Database` has of the ledger."""

    def tail(
        self: Source,
        conversation: ConversationRef,
        *,
        tenant: UUID,
        after: str | None = None,
        stream_id: str | None = None,
        last_event_id: int | None = None,
        workflow_run_id: str | None = None,
        kinds: Collection[str] | None = None,
        store: ObjectStore | None = None,
        stop: asyncio.Event | None = None,
        until_terminal: bool = False,
        poll: float = 0.5,
    ) -> Tail:
        """Follow a conversation: yield its visible frames from a position on, and wait for more.

        No gap and no duplicate: each frame comes once, in commit order, whoever appends it. Between
        two reads the tail holds neither a transaction nor a connection. It looks again when this
        process commits frames of the conversation, when another does and `Settings.notify` is set
        in both, and at the latest after *poll* seconds.

        Args:
            conversation: Its id, or the host's key.
            tenant: Whose it is.
            after: Cursor of an earlier tail or replay with the same filters; None starts.
            stream_id: Only frames of this stream.
            last_event_id: The last event of the stream that the client has seen, in place of a
                cursor, as `ConversationLedgerEventRepository.resume` takes it.
            workflow_run_id: Only frames of this run.
            kinds: Only frames of these kinds.
            store: Where larger frames are; without it they come without ``raw`` and ``payload``.
            stop: Ends the tail when it is set.
            until_terminal: End after the first terminal frame (``error`` or ``final``), which
                *kinds* have to include. With *stream_id*, a tail that begins behind it ends at
                once.
            poll: Seconds between two looks at the most.

        Returns:
            An asynchronous iterator with a ``cursor``; close it with ``aclose`` or ``async with``.
            Its errors are those of `Tail.__anext__`.

        Raises:
            InvalidValueError: An argument is none, or they contradict each other.
        """
        wanted = Wanted(
            ref=conversation,
            tenant=tenant,
            after=after,
            stream_id=stream_id,
            last_event_id=last_event_id,
            workflow_run_id=workflow_run_id,
            kinds=kinds,
            store=store,
            until_terminal=until_terminal,
            poll=poll,
        )
        return Tail(self, wanted, stop)
