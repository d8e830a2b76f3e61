"""An erasure that ends early is run again, and one beside writers leaves nothing of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from agentdb import Database, NewMessage
from agentdb.errors import DuplicateError, NotFoundError, TransientError
from agentdb.models import StatusSubscription
from agentdb.operations import append_messages, erase_tenant
from agentdb.testing import Factory, run_concurrently
from tests.operations.tenant_data.worlds import converse, store_one, traces
from tests.rows import row_of


class StoppedError(Exception):
    """Stands for the death of the process."""


@pytest.mark.parametrize("delete_orphan_users", [False, True])
async def test_an_erasure_that_dies_after_each_batch_comes_to_its_end(
    agentdb_database: Database,
    agentdb_sync_connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    *,
    delete_orphan_users: bool,
) -> None:
    """Each run goes on where the last one died; together they delete what the dry run told."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    await converse(agentdb_database, tenant)
    told = await erase_tenant(
        agentdb_database, tenant, dry_run=True, delete_orphan_users=delete_orphan_users
    )
    erased: Counter[str] = Counter()
    run = agentdb_database.run

    async def dying(work: Callable[..., Awaitable[Any]], **options: Any) -> Any:
        found = await run(work, **options)
        erased.update(found.counts)
        raise StoppedError

    monkeypatch.setattr(agentdb_database, "run", dying)
    while erased.total() < sum(told.values()):
        with pytest.raises(StoppedError):
            await erase_tenant(
                agentdb_database, tenant, batch=7, delete_orphan_users=delete_orphan_users
            )
    assert erased == told
    assert not traces(agentdb_sync_connection, tenant)


async def test_what_was_written_behind_the_tenant_is_erased_too(
    agentdb_database: Database, agentdb_sync_connection: Connection
) -> None:
    """Rows without a foreign key may come after the tenant is gone; a second call finds them."""
    rows = store_one(agentdb_sync_connection)
    tenant = rows["tenant_accounts"].id
    await erase_tenant(agentdb_database, tenant)
    late: StatusSubscription = row_of("status_subscriptions", "late", rows)
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.status_subscriptions.add(late)
    assert await erase_tenant(agentdb_database, tenant) == {"status_subscriptions": 1}


@pytest.mark.agentdb_commits
async def test_writers_beside_an_erasure_leave_nothing(
    agentdb_database: Database, agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """Each append is erased or refused: none is left, and none hides behind the tenant."""
    tenant = agentdb_make.tenant.id
    agentdb_make.conversation(messages=30, frames=30)

    async def write(number: int) -> None:
        """Append until the tenant is gone, or enough was written."""
        said = [NewMessage(role="user", content="hello")]
        for _ in range(40):
            try:
                async with agentdb_database.begin(tenant=tenant) as uow:
                    await append_messages(uow, f"talk-{number}", said, create="triage")
            except NotFoundError:
                return
            except (DuplicateError, TransientError):
                pass  # its conversation was deleted while it was found, or the two met

    async def erase() -> None:
        for _ in range(40):
            try:
                await erase_tenant(agentdb_database, tenant, batch=20)
            except TransientError:
                continue  # met the writers too often
            return
        raise AssertionError("the writers have ended long ago")

    outcome = await run_concurrently(
        4, lambda number: write(number) if number else erase(), database=agentdb_database
    )
    assert not outcome.errors
    assert not traces(agentdb_sync_connection, tenant)


@pytest.mark.agentdb_commits
async def test_two_erasures_of_one_tenant_share_the_work(
    agentdb_database: Database, agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """Both end, no row is counted twice, and one that found nothing says so."""
    tenant = agentdb_make.tenant.id
    agentdb_make.conversation(messages=30, frames=30)
    told = await erase_tenant(agentdb_database, tenant, dry_run=True)

    async def erase(_: int) -> Counter[str]:
        try:
            return Counter(await erase_tenant(agentdb_database, tenant, batch=10))
        except NotFoundError:
            return Counter()

    outcome = await run_concurrently(2, erase, database=agentdb_database)
    assert not outcome.errors
    assert sum(outcome.results, Counter[str]()) == told
    assert not traces(agentdb_sync_connection, tenant)
