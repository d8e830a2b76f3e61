"""Commits of which nobody knows whether they happened, and what is tried again."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    CommitUnknownError,
    UnavailableError,
)
from agentdb.models import TenantAccount
from agentdb.testing import FaultProxy
from tests.test_database import make, slugs

commits = pytest.mark.agentdb_commits


async def test_a_lost_answer_to_commit_is_an_unknown_outcome(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """The unit is not repeated, for it may have committed: here it has."""
    agentdb_fault_proxy.drop_commit_replies()
    with pytest.raises(CommitUnknownError):
        await agentdb_database.run(make, reason="test")

    assert await slugs(agentdb_database) == {"acme"}


async def test_a_lost_answer_to_commit_is_settled(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """``settle`` finds what was committed by its key, even if its own answer is lost at first."""
    asked: list[int] = []

    async def settle(unit: UnitOfWork) -> TenantAccount | None:
        asked.append(1)
        return await unit.tenant_accounts.by_slug("acme")

    agentdb_fault_proxy.drop_commit_replies(2)
    found = await agentdb_database.run(make, reason="test", settle=settle)

    assert (found.slug, len(asked)) == ("acme", 2)
    assert await slugs(agentdb_database) == {"acme"}


async def test_what_cannot_be_settled_stays_unknown(
    agentdb_fault_proxy: FaultProxy, agentdb_database: Database
) -> None:
    """A server that is away when it is asked leaves the outcome unknown, and not repeatable."""

    async def settle(_: UnitOfWork) -> TenantAccount | None:
        raise UnavailableError("the server is away")

    agentdb_fault_proxy.drop_commit_replies()
    with pytest.raises(CommitUnknownError):
        await agentdb_database.run(make, reason="test", settle=settle)


@commits
async def test_what_was_not_committed_runs_again(
    agentdb_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ``settle`` finds nothing, the whole unit runs again, and commits once."""
    real, lost = AsyncSession.commit, [True]

    async def commit(session: AsyncSession) -> None:
        if lost:
            lost.clear()
            await session.rollback()
            raise UnavailableError("lost before it arrived")
        await real(session)

    async def settle(unit: UnitOfWork) -> TenantAccount | None:
        return await unit.tenant_accounts.by_slug("acme")

    monkeypatch.setattr(AsyncSession, "commit", commit)
    found = await agentdb_database.run(make, reason="test", settle=settle)

    assert found.slug == "acme"
    assert await slugs(agentdb_database) == {"acme"}


@commits
async def test_a_full_disk_is_not_tried_again(agentdb_database: Database) -> None:
    """Trying again helps against a restart, not against what stays as it is."""
    tries: list[int] = []

    async def work(_: UnitOfWork) -> None:
        tries.append(1)
        full = UnavailableError("the disk is full")
        full.__cause__ = type("DiskFull", (Exception,), {"sqlstate": "53100"})()
        raise full

    with pytest.raises(UnavailableError):
        await agentdb_database.run(work, reason="test")

    assert len(tries) == 1
