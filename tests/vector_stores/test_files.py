from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidValueError,
    NotFoundError,
    QuotaExceededError,
    ValueOutOfRangeError,
)
from agentdb.models import TenantAccount
from agentdb.operations import attach_file, detach_file
from agentdb.testing import Factory, run_concurrently
from tests.machines import run_machine

T = TypeVar("T")


async def store_of(uow: UnitOfWork, name: str = "Manuals") -> UUID:
    """Return a new store."""
    return (await uow.vector_stores.create(f"vs_{name}", name)).id


async def usage(uow: UnitOfWork, store: UUID) -> int:
    """Return the bytes that a store says it has."""
    return (await uow.vector_stores.require(store)).usage_bytes


async def test_a_file_is_attached_once(agentdb_uow: UnitOfWork) -> None:
    """Again changes nothing; detached it can be attached anew, in the same row."""
    store = await store_of(agentdb_uow)
    row, attached = await attach_file(agentdb_uow, store, "file_1", "a.pdf", size_bytes=10)
    same, again = await attach_file(agentdb_uow, store, "file_1", "b.pdf", size_bytes=99)

    assert (attached, again) == (True, False)
    assert (same, row.filename, row.status) == (row, "a.pdf", "indexing")
    assert await detach_file(agentdb_uow, store, "file_1")
    assert not await detach_file(agentdb_uow, store, "file_1")
    assert row.status == "deleted"
    assert await usage(agentdb_uow, store) == 0
    revived, attached = await attach_file(agentdb_uow, store, "file_1", "c.pdf", size_bytes=7)
    assert attached
    assert (revived.id, revived.filename, revived.status) == (row.id, "c.pdf", "indexing")
    assert (revived.deleted_at, await usage(agentdb_uow, store)) == (None, 7)


async def test_the_store_counts_what_its_files_take_up(agentdb_uow: UnitOfWork) -> None:
    """The size of a file, until the provider tells what it uses."""
    files = agentdb_uow.vector_store_files
    store = await store_of(agentdb_uow)
    first, _ = await files.attach(store, "file_1", "a.pdf", size_bytes=10)
    await files.attach(store, "file_2", "b.pdf")
    seen = [await usage(agentdb_uow, store)]
    for given in (25, None, 0, 4):
        await files.set_state(first.id, "completed", usage_bytes=given, last_error=None)
        seen.append(await usage(agentdb_uow, store))
    await files.detach(store, "file_1")

    assert seen == [10, 25, 25, 10, 4]
    assert await usage(agentdb_uow, store) == 0


async def test_the_usage_falls_not_below_zero(agentdb_uow: UnitOfWork) -> None:
    """The provider's figure may be below what the files add up to."""
    files = agentdb_uow.vector_store_files
    store = await store_of(agentdb_uow)
    await files.attach(store, "file_1", "a.pdf", size_bytes=10)
    await agentdb_uow.vector_stores.set_remote_state(store, "completed", usage_bytes=3)
    await files.detach(store, "file_1")

    assert await usage(agentdb_uow, store) == 0


async def test_the_state_of_a_file_is_noted(agentdb_uow: UnitOfWork) -> None:
    """With what went wrong, until it goes well; a detached file has none."""
    files = agentdb_uow.vector_store_files
    store = await store_of(agentdb_uow)
    row, _ = await files.attach(store, "file_1", "a.pdf")
    await files.set_state(row.id, "failed", last_error="unreadable")
    assert (row.status, row.last_error) == ("failed", "unreadable")
    await files.set_state(row.id, "completed")
    assert (row.status, row.last_error) == ("completed", None)
    await files.detach(store, "file_1")
    for key in (row.id, uuid4()):
        with pytest.raises(NotFoundError):
            await files.set_state(key, "completed")


async def test_what_exceeds_a_limit_is_refused(agentdb_uow: UnitOfWork) -> None:
    """Nothing is stored of it; a file that is attached already is no new one."""
    store = await store_of(agentdb_uow)
    limits: dict[str, Any] = {"max_files": 2, "max_bytes": 15}
    await attach_file(agentdb_uow, store, "file_1", "a.pdf", size_bytes=10, **limits)
    with pytest.raises(QuotaExceededError):
        await attach_file(agentdb_uow, store, "file_2", "b.pdf", size_bytes=6, **limits)
    await attach_file(agentdb_uow, store, "file_2", "b.pdf", size_bytes=5, **limits)
    with pytest.raises(QuotaExceededError):
        await attach_file(agentdb_uow, store, "file_3", "c.pdf", size_bytes=0, **limits)
    _, attached = await attach_file(agentdb_uow, store, "file_1", "a.pdf", **limits)

    assert not attached
    assert await agentdb_uow.vector_store_files.count() == 2
    assert await usage(agentdb_uow, store) == 15


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"size_bytes": -1}, InvalidValueError),
        ({"usage_bytes": "7"}, InvalidValueError),
        ({"size_bytes": 1.5}, InvalidValueError),
        ({"size_bytes": 2**31}, ValueOutOfRangeError),
        ({"status": "x" * 17}, InvalidValueError),
    ],
)
async def test_bad_values_are_refused_and_the_unit_goes_on(
    agentdb_uow: UnitOfWork, fields: dict[str, Any], refusal: type[Exception]
) -> None:
    """For a new file and for one that was detached; the sum of the store stays right."""
    store = await store_of(agentdb_uow)
    for _ in range(2):
        with pytest.raises(refusal):
            await attach_file(agentdb_uow, store, "file_1", "a.pdf", **fields)
        assert await usage(agentdb_uow, store) == 0
        row, _ = await attach_file(agentdb_uow, store, "file_1", "a.pdf", size_bytes=1)
        await detach_file(agentdb_uow, store, "file_1")
        assert row.deleted_at is not None


async def test_a_sum_beyond_its_column_is_refused(agentdb_uow: UnitOfWork) -> None:
    """Each file fits, both do not: the second is not attached, nor can the first grow."""
    files = agentdb_uow.vector_store_files
    store, half = await store_of(agentdb_uow), 2**30
    row, _ = await files.attach(store, "file_1", "a.pdf", size_bytes=half)
    with pytest.raises(ValueOutOfRangeError):
        await files.attach(store, "file_2", "b.pdf", size_bytes=half)
    await files.attach(store, "file_2", "b.pdf", size_bytes=half - 1)
    with pytest.raises(ValueOutOfRangeError):
        await files.set_state(row.id, "completed", usage_bytes=half + 1)

    assert (row.status, await usage(agentdb_uow, store)) == ("indexing", 2**31 - 1)


async def test_the_places_of_a_file_are_found(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """In all live stores of the tenant; detached files and deleted stores are left out."""
    files = agentdb_uow.vector_store_files
    first, second, gone, left = [
        await store_of(agentdb_uow, name) for name in ("first", "second", "gone", "left")
    ]
    for store in (first, second, gone, left):
        await files.attach(store, "file_1", "a.pdf")
    await files.attach(first, "file_2", "b.pdf")
    await agentdb_uow.vector_stores.soft_delete(gone)
    await files.detach(left, "file_1")
    foreign = agentdb_make.vector_store(tenant_id=agentdb_make.tenant_account().id)
    agentdb_make.vector_store_file(vector_store_id=foreign.id, openai_file_id="file_1")
    page = await files.for_openai_file("file_1", limit=1)
    rest = await files.for_openai_file("file_1", after=page.next_cursor)

    assert {row.vector_store_id for row in (*page, *rest)} == {first, second}
    assert rest.next_cursor is None


async def test_a_deleted_store_takes_no_file(agentdb_uow: UnitOfWork) -> None:
    """And gives none back."""
    store = await store_of(agentdb_uow)
    await agentdb_uow.vector_stores.soft_delete(store)
    for key in (store, uuid4()):
        with pytest.raises(NotFoundError):
            await attach_file(agentdb_uow, key, "file_1", "a.pdf")
        with pytest.raises(NotFoundError):
            await detach_file(agentdb_uow, key, "file_1")


@pytest.mark.agentdb_commits
async def test_concurrent_files_keep_to_the_limit_and_the_sum(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Eight files at once where three may be: three are attached, and the sum is theirs."""
    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        store = await store_of(uow)

    async def attach(number: int) -> None:
        async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
            name = f"file_{number}"
            await attach_file(uow, store, name, name, size_bytes=10 + number, max_files=3)

    outcomes = await run_concurrently(8, attach, database=agentdb_database)

    assert {type(error) for error in outcomes.errors} == {QuotaExceededError}
    async with agentdb_database.read(tenant=agentdb_tenant.id) as uow:
        rows = await uow.vector_store_files.all()
        assert len(rows) == 3
        assert await usage(uow, store) == sum(row.size_bytes or 0 for row in rows)


class Files(RuleBasedStateMachine):
    """A store with three files; rules do to them what providers and users do."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.tenant, self.store = self.runner.run(self._begin())
        self.files: dict[str, tuple[int, int]] = {}

    async def _begin(self) -> tuple[UUID, UUID]:
        async with self.database.begin_system(reason="test") as uow:
            tenant = (await uow.tenant_accounts.create("Model", f"model-{uuid4()}")).id
            store = await uow.vector_stores.create(f"vs_{uuid4().hex}", "Files", tenant_id=tenant)
            return tenant, store.id

    def work(self, call: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a coroutine function in a unit of work of its own."""

        async def unit() -> T:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await call(uow)

        return self.runner.run(unit())

    @rule(name=st.sampled_from("abc"), size=st.integers(0, 9), used=st.integers(0, 9))
    def attach(self, name: str, size: int, used: int) -> None:
        """Attach a file, which may be there already."""

        async def call(uow: UnitOfWork) -> bool:
            _, attached = await attach_file(
                uow, self.store, name, name, size_bytes=size, usage_bytes=used, max_files=2
            )
            return attached

        if name not in self.files and len(self.files) == 2:
            with pytest.raises(QuotaExceededError):
                self.work(call)
            return
        assert self.work(call) == (name not in self.files)
        self.files.setdefault(name, (size, used))

    @rule(name=st.sampled_from("abc"))
    def detach(self, name: str) -> None:
        """Detach a file, if it is there."""
        found = self.work(lambda uow: detach_file(uow, self.store, name))
        assert found == (self.files.pop(name, None) is not None)

    @rule(name=st.sampled_from("abc"), used=st.integers(0, 9))
    def tell(self, name: str, used: int) -> None:
        """Note what the provider says that a file takes up."""

        async def call(uow: UnitOfWork) -> None:
            row = await uow.vector_store_files.one(
                uow.vector_store_files.model.openai_file_id == name
            )
            await uow.vector_store_files.set_state(row.id, "completed", usage_bytes=used)

        if name in self.files:
            self.work(call)
            self.files[name] = self.files[name][0], used
        else:
            with pytest.raises(NotFoundError):
                self.work(call)

    @rule()
    def delete_and_restore(self) -> None:
        """The store comes back without files."""

        async def call(uow: UnitOfWork) -> None:
            await uow.vector_stores.soft_delete(self.store)
            await uow.vector_stores.restore(self.store)

        self.work(call)
        self.files.clear()

    @invariant()
    def usage_is_the_sum(self) -> None:
        """Of the live files, each by its usage or else its size."""
        expected = sum(used or size for size, used in self.files.values())
        assert self.work(lambda uow: usage(uow, self.store)) == expected


@pytest.mark.agentdb_commits
def test_files_behave_as_their_model(agentdb_database: Database) -> None:
    """Attached, detached, synchronised and deleted with their store, in any order."""
    run_machine(Files, agentdb_database, steps=20)
