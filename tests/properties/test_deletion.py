"""Whatever a tenant has come to hold: people, files and conversations can go, and the tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from agentdb import Database, NewMessage, UnitOfWork
from agentdb.auth.values import TenantRole
from agentdb.errors import AgentDBError, DuplicateError
from agentdb.models import (
    AgentConversation,
    AgentMessage,
    Base,
    StorageBucket,
    StorageObject,
    User,
)
from agentdb.objects import MemoryObjectStore
from agentdb.operations import (
    append_ledger,
    delete_conversation,
    delete_user,
    erase_tenant,
    truncate_from,
)
from agentdb.testing import Factory
from agentdb.testing.factories.references import models_by_table, parameters, references
from tests.ledger.frames import frame
from tests.machines import run_machine
from tests.operations.test_delete_user import mentions

NUMBERS = st.integers(0, 1000)
"""Picks one of the rows that there are."""

KEPT: tuple[type[Base], ...] = (User, StorageBucket, StorageObject, AgentConversation)
"""What is deleted, in an order in which rows can be made for each other."""

OTHERS = [
    model
    for name, model in models_by_table().items()
    if model not in KEPT and name not in {"tenant_accounts", "billing_plans", "plan_features"}
]
"""The tables whose rows refer to what is deleted, or could stand in its way."""


class Deletions(RuleBasedStateMachine):
    """Rules store rows of any table, run verbs, and delete; in the end, all is deleted."""

    database: Database
    runner: asyncio.Runner
    make: Factory

    def __init__(self) -> None:
        super().__init__()
        self.tenant = self.make.tenant_account()
        self.store = MemoryObjectStore()
        self.held: dict[type[Base], list[UUID]] = {model: [] for model in KEPT}
        self.frames = 0

    def act(self, call: Callable[[UnitOfWork], Awaitable[Any]], *, system: bool = False) -> Any:
        """Run a verb in a unit that commits."""

        async def unit() -> Any:
            if system:
                return await self.database.run(call, reason="test")
            return await self.database.run(call, tenant=self.tenant.id)

        return self.runner.run(unit())

    def attempt(self, call: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
        """Run a verb that may refuse."""
        try:
            return self.act(call)
        except AgentDBError:
            return None

    def pick(self, model: type[Base], number: int) -> UUID | None:
        """Return the key of one of the rows, if there are any."""
        keys = self.held[model]
        return keys[number % len(keys)] if keys else None

    def parents(self, model: type[Base], number: int) -> dict[str, UUID | str]:
        """Return references to rows that are there, wherever the table has some."""
        kept = {kind.__tablename__: kind for kind in KEPT}
        found = {
            attribute: self.reference(kept[target.table], target.attribute, number)
            for attribute, (_, target) in references(model).items()
            if target.table in kept
        }
        return {attribute: key for attribute, key in found.items() if key is not None}

    def reference(self, model: type[Base], attribute: str, number: int) -> UUID | str | None:
        """Return what names one of the rows: its id, or the key by which runs know it."""
        key = self.pick(model, number)
        if key is None or attribute == "id":
            return key

        async def read(uow: UnitOfWork) -> UUID | str:
            named: UUID | str = getattr(await uow.session.get_one(model, key), attribute)
            return named

        return cast("UUID | str", self.act(read))

    @rule(model=st.sampled_from(KEPT), number=NUMBERS, deleted=st.booleans())
    def add(self, model: type[Base], number: int, deleted: bool) -> None:
        """Somebody, a bucket, an object or a conversation is new, at times deleted already."""
        values: dict[str, Any] = {"tenant": self.tenant, **self.parents(model, number)}
        row: Any = self.make.make(model, **values)
        self.held[model].append(row.id)
        if deleted:
            self.hide(number)

    @rule(number=NUMBERS, role=st.sampled_from(TenantRole))
    def join(self, number: int, role: TenantRole) -> None:
        """Somebody becomes a member, perhaps the only owner."""
        user = self.pick(User, number)
        if user is not None:
            self.attempt(lambda uow: uow.tenant_user_memberships.grant(user, role))

    @rule(model=st.sampled_from(OTHERS), number=NUMBERS)
    def store_row(self, model: type[Base], number: int) -> None:
        """A row of any other table, that refers to all that it can."""
        values: dict[str, Any] = {"tenant": self.tenant, **self.parents(model, number)}
        if not {"tenant", "tenant_id"} & parameters(model).keys():
            del values["tenant"]
        with suppress(DuplicateError):  # the row that it would be is there
            self.make.make(model, **values)

    @rule(number=NUMBERS, count=st.integers(1, 3), spilled=st.booleans())
    def talk(self, number: int, count: int, spilled: bool) -> None:
        """A question, and the frames of an answer, perhaps too large for their rows."""
        ref = self.pick(AgentConversation, number)
        if ref is None:
            return
        text = "x" * 900 if spilled else "short"
        given = [frame(self.frames + n, text=text) for n in range(1, count + 1)]
        self.frames += count

        async def work(uow: UnitOfWork) -> list[UUID]:
            await uow.agent_messages.append(ref, [NewMessage(role="user", content=text)])
            await append_ledger(uow, ref, given, store=self.store, inline_limit=500)
            return [row.id for row in await uow.storage_objects.all()]

        found = self.act(work)
        held = self.held[StorageObject]
        held += [key for key in found if key not in held]

    @rule(number=NUMBERS)
    def truncate(self, number: int) -> None:
        """Somebody takes a question back."""
        ref = self.pick(AgentConversation, number)
        if ref is None:
            return

        async def work(uow: UnitOfWork) -> None:
            asked = await uow.agent_messages.all(
                AgentMessage.conversation_id == ref, AgentMessage.role == "user"
            )
            if asked:
                message = asked[number % len(asked)].id
                await truncate_from(uow, ref, message, cancel_queue=True)

        self.attempt(work)

    @rule(number=NUMBERS, claimed=st.booleans())
    def enqueue(self, number: int, claimed: bool) -> None:
        """A run waits, or is being worked on."""
        ref, user = self.pick(AgentConversation, number), self.pick(User, number)
        if ref is None:
            return

        async def work(uow: UnitOfWork) -> None:
            await uow.conversation_run_queue_items.enqueue(ref, {}, created_by_user_id=user)
            if claimed:
                await uow.conversation_run_queue_items.claim()

        self.attempt(work)

    @rule(number=NUMBERS)
    def hide(self, number: int) -> None:
        """An object and a bucket are soft-deleted."""
        item, bucket = self.pick(StorageObject, number), self.pick(StorageBucket, number)
        if item is not None:
            self.attempt(lambda uow: uow.storage_objects.soft_delete(item))
        if bucket is not None:
            self.attempt(lambda uow: uow.storage_buckets.soft_delete(bucket))

    @rule(model=st.sampled_from(KEPT), number=NUMBERS)
    def delete(self, model: type[Base], number: int) -> None:
        """One of them goes; that is never refused, and no column names it afterwards."""
        key = self.pick(model, number)
        if key is None:
            return
        self.held[model].remove(key)
        assert self.act(_DELETIONS[model](key), system=model is User)
        if model is StorageBucket:
            self.held[StorageObject] = self.act(_objects)
        # Objects of a conversation are named after it until they are purged.
        named: set[tuple[str, str]] = self.act(lambda uow: mentions(uow, key), system=True)
        if model is AgentConversation:
            named.discard(("storage_objects", "object_key"))
        assert named == set()

    def teardown(self) -> None:
        """The tenant goes, whatever is left of it, and its people after it."""
        self.runner.run(erase_tenant(self.database, self.tenant.id, batch=3))
        assert self.act(lambda uow: mentions(uow, self.tenant.id), system=True) == set()
        for user in self.held[User]:
            self.act(_DELETIONS[User](user), system=True)


async def _objects(uow: UnitOfWork) -> list[UUID]:
    return [row.id for row in await uow.storage_objects.all(include_deleted=True)]


_DELETIONS: dict[type[Base], Callable[[UUID], Callable[[UnitOfWork], Awaitable[Any]]]] = {
    User: lambda key: lambda uow: delete_user(uow, key, force=True),
    StorageBucket: lambda key: lambda uow: uow.storage_buckets.purge(key),
    StorageObject: lambda key: lambda uow: uow.storage_objects.purge(key),
    AgentConversation: lambda key: lambda uow: delete_conversation(uow, key),
}


@pytest.mark.agentdb_commits
def test_what_a_tenant_holds_can_always_be_deleted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Users, objects, buckets, conversations and the tenant, in any state."""
    run_machine(Deletions, agentdb_database, steps=25, examples=15, make=agentdb_make)
