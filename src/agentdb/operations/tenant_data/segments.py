"""What segments of a conversation refer to that is stored after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, update

from agentdb.operations.tenant_data.tables import table_named
from agentdb.unit_of_work import UnitOfWork

_PARENT = "parent_segment_id"
_BOUND = "visible_through_event_id"


class Segments:
    """Segments that have a parent or a last visible frame, which they get when all is stored.

    The bound of a segment is the number of a frame, and frames have other numbers here: it becomes
    that of the segment's last frame which was at or before the old bound, 0 if there was none.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._parents: dict[UUID, UUID | None] = {}
        self._old: dict[UUID, int] = {}
        self._new: dict[UUID, int | None] = {}

    def hold(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a segment as it is stored at first: without a parent and without a bound."""
        parent, bound = row[_PARENT], row[_BOUND]
        if parent is not None or bound is not None:
            key: UUID = row["id"]
            self._parents[key] = parent
            self._new[key] = None if bound is None else 0
            if bound is not None:
                self._old[key] = bound
        return {**row, _PARENT: None, _BOUND: None}

    def pass_frames(self, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> None:
        """Note the new numbers of frames, which come in the order of their old ones."""
        for row, number in zip(rows, numbers, strict=True):
            segment: UUID = row["segment_id"]
            if row["id"] <= self._old.get(segment, 0):
                self._new[segment] = number

    async def settle(self, uow: UnitOfWork, batch: int) -> None:
        """Give the segments what they refer to, all of which is stored now."""
        table = table_named("conversation_ledger_segments")
        change = update(table).where(table.c.id == bindparam("key"))
        change = change.values({_PARENT: bindparam("parent"), _BOUND: bindparam("bound")})
        # As it was: an update would stamp it.
        change = change.values(updated_at=table.c.updated_at)
        keys = list(self._parents)
        for start in range(0, len(keys), batch):
            some = keys[start : start + batch]
            rows = [{"key": k, "parent": self._parents[k], "bound": self._new[k]} for k in some]
            await uow.execute(change, rows)

    @property
    def parents(self) -> list[UUID]:
        """The segments that others refer to."""
        return [parent for parent in self._parents.values() if parent is not None]
