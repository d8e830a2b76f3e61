"""Purging what was soft-deleted: the seven tables with ``deleted_at``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import URL
from typing_extensions import Unpack

from agentdb.database import Database
from agentdb.maintenance.containers import DeletedContainers
from agentdb.maintenance.runner import PlanOptions, Report, Sweep, run_aged
from agentdb.maintenance.storage import DeletedBuckets, DeletedObjects
from agentdb.maintenance.vector_stores import DeletedFiles, DeletedStores
from agentdb.maintenance.workflows import DeletedRuns, DeletedSteps

KEEP_DELETED = timedelta(days=30)
"""How long what was deleted can be restored, or looked up."""

SWEEPS: tuple[Callable[[UUID | None, timedelta], Sweep[Any]], ...] = (
    DeletedRuns,
    DeletedSteps,
    DeletedObjects,
    DeletedBuckets,
    DeletedContainers,
    DeletedFiles,
    DeletedStores,
)
"""One for each table, made with the tenant and the age; what refers to a row goes before it."""


async def purge_deleted(
    db: Database | str | URL,
    *,
    older_than: timedelta = KEEP_DELETED,
    **options: Unpack[PlanOptions],
) -> Report:
    """Delete what was soft-deleted long ago, for good.

    * Workflow runs, with all their steps; run events stay, and name no run then. Steps that were
      deleted by themselves go too.
    * Objects: remove their bytes from the store before, as nothing names them afterwards. Frames of
      the ledger that are still in one become tombstones, as `storage_objects.purge` leaves them.
    * Buckets, once no object is in them.
    * Containers.
    * Files of vector stores that were detached, and all that is left in a deleted store; then the
      store, unless a file that is in use stays in it.

    Args:
        db: The database, or its URL.
        older_than: Time since they were deleted.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        Counts by table, and of ``tombstones``.
    """
    return await run_aged(db, older_than, options, *SWEEPS)
