"""Buckets and objects against a model, with frames of the ledger in some of the objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    AgentDBError,
    DuplicateError,
    InvalidTransitionError,
    NotFoundError,
    ReferencedError,
)
from agentdb.maintenance import purge_deleted
from agentdb.objects import MemoryObjectStore
from agentdb.operations import append_ledger
from tests.ledger.conversations import begun
from tests.ledger.frames import frame
from tests.machines import run_machine

T = TypeVar("T")
SPILLS = "a"
BUCKETS = st.sampled_from([SPILLS, "b"])
KEYS = st.sampled_from(["k1", "k2"])
CHECKSUMS = st.sampled_from(["1" * 64, "2" * 64])
EVENTS = st.integers(1, 3)


@dataclass
class Bucket:
    """A bucket of the model."""

    key: UUID
    live: bool = True
    default: bool = False


@dataclass
class Stored:
    """An object of the model; *event* is the frame that is in it."""

    key: UUID
    status: str = "pending"
    checksum: str | None = None
    event: int | None = None


class Storage(RuleBasedStateMachine):
    """One tenant; rules do to its files what hosts do, and compare them with the model."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.tenant = self.run(self._new_tenant())
        self.store = MemoryObjectStore(SPILLS)
        self.buckets: dict[str, Bucket] = {}
        self.objects: dict[tuple[str, str], Stored] = {}
        self.frames: dict[int, bool] = {}
        self.work(begun)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        return self.runner.run(coroutine)

    def work(self, call: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a coroutine function in a unit of work of its own."""

        async def unit() -> T:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await call(uow)

        return self.run(unit())

    def refused(
        self, call: Callable[[UnitOfWork], Awaitable[Any]], error: type[AgentDBError]
    ) -> None:
        """Run what has to be refused."""
        with pytest.raises(error):
            self.work(call)

    async def _new_tenant(self) -> UUID:
        async with self.database.begin_system(reason="test") as uow:
            return (await uow.tenant_accounts.create("Model", f"model-{uuid4()}")).id

    def _revive(self, name: str, key: UUID, *, default: bool) -> None:
        first = not any(bucket.live for bucket in self.buckets.values())
        row = self.buckets.setdefault(name, Bucket(key, live=False))
        assert row.key == key
        if not row.live:
            row.live, row.default = True, first
        if default:
            self._choose(name)

    def _choose(self, name: str) -> None:
        for other, row in self.buckets.items():
            row.default = other == name or (row.default and not row.live)

    @rule(name=BUCKETS, default=st.booleans())
    def make_bucket(self, name: str, default: bool) -> None:
        """Get a bucket, make or revive it."""

        async def make(uow: UnitOfWork) -> tuple[UUID, bool]:
            get = uow.storage_buckets.get_or_create
            row, created = await get("memory", name, make_default=default)
            return row.id, created

        key, created = self.work(make)
        assert created == (name not in self.buckets)
        self._revive(name, key, default=default)

    @rule(name=BUCKETS)
    def choose_default(self, name: str) -> None:
        """Make a bucket the default, if it is live."""
        row = self.buckets.get(name, Bucket(uuid4(), live=False))
        if not row.live:
            self.refused(lambda uow: uow.storage_buckets.set_default(row.key), NotFoundError)
            return
        self.work(lambda uow: uow.storage_buckets.set_default(row.key))
        self._choose(name)

    @rule(name=BUCKETS)
    def delete_bucket(self, name: str) -> None:
        """Delete a bucket softly, if no live object is in it."""
        row = self.buckets.get(name)
        if row is None:
            return
        if any(o.status != "deleted" for (b, _), o in self.objects.items() if b == name):
            self.refused(lambda uow: uow.storage_buckets.soft_delete(row.key), ReferencedError)
            return
        assert self.work(lambda uow: uow.storage_buckets.soft_delete(row.key)) == row.live
        row.live = False

    @rule(name=BUCKETS, refuse=st.booleans())
    def purge_bucket(self, name: str, refuse: bool) -> None:
        """Delete a bucket with its objects, unless frames stand against it."""
        row = self.buckets.get(name, Bucket(uuid4()))
        held = {place: o for place, o in self.objects.items() if place[0] == name}
        if refuse and any(o.event for o in held.values()):
            self.refused(
                lambda uow: uow.storage_buckets.purge(row.key, ledger="refuse"), ReferencedError
            )
            return
        assert self.work(lambda uow: uow.storage_buckets.purge(row.key)) == (name in self.buckets)
        self.buckets.pop(name, None)
        self._forget(*held)

    @rule(name=BUCKETS, key=KEYS)
    def make_object(self, name: str, key: str) -> None:
        """Make an object in a live bucket under a free key."""
        row = self.buckets.get(name, Bucket(uuid4(), live=False))

        async def make(uow: UnitOfWork) -> UUID:
            return (await uow.storage_objects.create(row.key, key, "name")).id

        if not row.live:
            self.refused(make, NotFoundError)
        elif (name, key) in self.objects:
            self.refused(make, DuplicateError)
        else:
            self.objects[name, key] = Stored(self.work(make))

    @rule(name=BUCKETS, key=KEYS, checksum=CHECKSUMS)
    def mark_ready(self, name: str, key: str, checksum: str) -> None:
        """Finish an upload; again with the same checksum it changes nothing."""
        row = self.objects.get((name, key))
        if row is None:
            return

        async def ready(uow: UnitOfWork) -> str:
            done = await uow.storage_objects.mark_ready(row.key, checksum_sha256=checksum)
            return done.status

        if row.status == "deleted" or row.checksum not in {None, checksum}:
            self.refused(ready, InvalidTransitionError)
            return
        row.status, row.checksum = self.work(ready), checksum

    @rule(event=EVENTS)
    def spill(self, event: int) -> None:
        """Append a large frame, unless it is recorded; its bucket is live then."""

        async def append(uow: UnitOfWork) -> tuple[UUID, UUID] | None:
            (one,) = await append_ledger(
                uow, "chat", [_large(event)], store=self.store, inline_limit=500
            )
            row = await uow.conversation_ledger_events.require(one.id)
            if not one.inserted or row.payload_object_id is None:
                return None
            held = await uow.storage_objects.require(row.payload_object_id)
            return held.id, held.bucket_id

        made = self.work(append)
        assert (made is None) == (event in self.frames)
        if made is not None:
            self._revive(SPILLS, made[1], default=False)
            self.objects[SPILLS, f"frame {event}"] = Stored(made[0], "ready", event=event)
            self.frames[event] = True

    @rule(data=st.data(), hard=st.booleans(), refuse=st.booleans())
    def remove_object(self, data: st.DataObject, hard: bool, refuse: bool) -> None:
        """Delete an object softly, or for good, unless a frame stands against it."""
        if not self.objects:
            return
        place = data.draw(st.sampled_from(sorted(self.objects)))
        row = self.objects[place]
        if not hard:
            deleted = self.work(lambda uow: uow.storage_objects.soft_delete(row.key))
            assert deleted == (row.status != "deleted")
            row.status = "deleted"
        elif refuse and row.event:

            async def delete(uow: UnitOfWork) -> bool:
                return await uow.storage_objects.delete(row.key, include_deleted=True)

            self.refused(delete, ReferencedError)
        else:
            assert self.work(lambda uow: uow.storage_objects.purge(row.key))
            self._forget(place)

    @rule()
    def purge_what_is_deleted(self) -> None:
        """Run the sweep: objects first, then the buckets that are empty."""
        age = timedelta(0)
        report = self.run(purge_deleted(self.database, older_than=age, tenant_id=self.tenant))
        gone = [place for place, o in self.objects.items() if o.status == "deleted"]
        assert report.counts["storage_objects"] == len(gone)
        assert report.counts["tombstones"] == sum(bool(self.objects[p].event) for p in gone)
        self._forget(*gone)
        dead = [name for name, row in self.buckets.items() if not row.live]
        assert report.counts["storage_buckets"] == len(dead)
        for name in dead:
            del self.buckets[name]

    def _forget(self, *places: tuple[str, str]) -> None:
        for place in places:
            event = self.objects.pop(place).event
            if event:
                self.frames[event] = False

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        """Buckets with their default, objects with their states."""

        async def read(uow: UnitOfWork) -> tuple[dict[UUID, Any], dict[UUID, Any]]:
            buckets = await uow.storage_buckets.all(include_deleted=True)
            objects = await uow.storage_objects.all(include_deleted=True)
            states = {row.id: (row.deleted_at is None, row.is_default) for row in buckets}
            return states, {row.id: (row.status, row.deleted_at is None) for row in objects}

        buckets, objects = self.work(read)
        live = {key: default for key, (is_live, default) in buckets.items() if is_live}
        assert live == {row.key: row.default for row in self.buckets.values() if row.live}
        assert set(buckets) == {row.key for row in self.buckets.values()}
        assert objects == {
            row.key: (row.status, row.status != "deleted") for row in self.objects.values()
        }

    @invariant()
    def frames_are_whole_or_tombstones(self) -> None:
        """A replay shows each recorded frame, whole as long as its object is there."""

        async def read(uow: UnitOfWork) -> dict[int, Any]:
            page = await uow.conversation_ledger_events.replay("chat", store=self.store)
            return {item.event_id: item.payload for item in page}

        assert self.work(read) == {
            event: _large(event) if whole else frame(event, payload_purged=True)
            for event, whole in self.frames.items()
        }


def _large(event: int) -> dict[str, Any]:
    return frame(event, text="x" * 900)


@pytest.mark.agentdb_commits
def test_storage_behaves_as_its_model(agentdb_database: Database) -> None:
    """Buckets and objects are made, deleted, revived and purged in any order."""
    run_machine(Storage, agentdb_database, steps=30)
