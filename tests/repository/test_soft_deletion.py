from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentdb import UnitOfWork
from agentdb.errors import InvalidCursorError, NotFoundError
from tests.rows import INSTANT, MODELS, Rows, key_of, row_of

TABLES = [
    "containers",
    "storage_buckets",
    "storage_objects",
    "vector_store_files",
    "vector_stores",
    "workflow_run_steps",
    "workflow_runs",
]

every_table = pytest.mark.parametrize("table", TABLES)


async def listed(rows: AsyncIterator[Any]) -> list[Any]:
    """Return what a stream yields."""
    return [row async for row in rows]


@every_table
async def test_deleted_rows_are_hidden_from_every_read(
    system: UnitOfWork, parents: Rows, table: str
) -> None:
    """All verbs skip them by default, and see them with ``include_deleted=True``."""
    repository: Any = getattr(system, table)
    live = parents[table]
    gone = await repository.add(row_of(table, "gone", parents, deleted_at=INSTANT))
    live_key, gone_key = key_of(live), key_of(gone)
    both = sorted([live, gone], key=key_of)
    same = getattr(MODELS[table], "deleted_at") == INSTANT  # noqa: B009 -- seven tables have it

    assert await repository.get(gone_key) is None
    assert gone is await repository.get(gone_key, include_deleted=True)
    with pytest.raises(NotFoundError):
        await repository.require(gone_key)
    assert gone is await repository.require(gone_key, include_deleted=True)
    assert {live_key: live} == await repository.get_many([live_key, gone_key])
    found = await repository.get_many([live_key, gone_key], include_deleted=True)
    assert {live_key: live, gone_key: gone} == found
    assert await repository.find(same) is None
    assert gone is await repository.find(same, include_deleted=True)
    with pytest.raises(NotFoundError):
        await repository.one(same)
    assert gone is await repository.one(same, include_deleted=True)
    assert [live] == await repository.all()
    assert both == await repository.all(include_deleted=True)
    assert (await repository.count(), await repository.count(include_deleted=True)) == (1, 2)
    assert not await repository.exists(same)
    assert await repository.exists(same, include_deleted=True)
    assert [live] == await listed(repository.stream())
    assert both == await listed(repository.stream(include_deleted=True))
    assert (live,) == (await repository.page()).items
    assert tuple(both) == (await repository.page(include_deleted=True)).items


@every_table
async def test_deleted_rows_are_not_written_by_accident(
    system: UnitOfWork, parents: Rows, table: str
) -> None:
    """Update and delete do not find them, unless asked to."""
    repository: Any = getattr(system, table)
    gone = await repository.add(row_of(table, "gone", parents, deleted_at=INSTANT))
    key = key_of(gone)

    with pytest.raises(NotFoundError):
        await repository.update(key, deleted_at=None)
    assert await repository.delete(key) is False
    assert gone is await repository.update(key, include_deleted=True, deleted_at=None)
    assert gone.deleted_at is None
    await repository.update(key, deleted_at=INSTANT)
    assert await repository.delete(key, include_deleted=True) is True
    assert await repository.get(key, include_deleted=True) is None


async def test_the_pages_of_a_parent_show_deleted_rows_on_demand(
    system: UnitOfWork, parents: Rows
) -> None:
    """``for_<parent>`` and ``by_<column>`` take ``include_deleted`` as the generic verbs do."""
    tenant = parents["tenant_accounts"].id
    live = parents["containers"]
    gone: Any = row_of("containers", "g", parents, deleted_at=INSTANT)
    await system.containers.add(gone)

    assert [live] == list(await system.containers.for_tenant(tenant))
    page = await system.containers.for_tenant(tenant, include_deleted=True)
    assert {live, gone} == set(page)
    assert await system.containers.by_openai_id(gone.openai_id) is None
    found = await system.containers.by_openai_id(gone.openai_id, include_deleted=True)
    assert gone is found


async def test_a_cursor_does_not_cross_over_to_deleted_rows(
    system: UnitOfWork, parents: Rows
) -> None:
    """Whether deleted rows are seen is part of the query."""
    await system.containers.add(row_of("containers", "b", parents))
    cursor = (await system.containers.page(limit=1)).next_cursor

    assert cursor is not None
    with pytest.raises(InvalidCursorError):
        await system.containers.page(after=cursor, include_deleted=True)
