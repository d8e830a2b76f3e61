"""The tables of vector stores and their files, and what the files of a store count for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from agentdb.tenancy.predicates import table_of
from agentdb.vector_stores.models import VectorStore, VectorStoreFile
from agentdb.vector_stores.repository.files import MAX_USAGE

stores: Any = table_of(VectorStore)
files: Any = table_of(VectorStoreFile)


def usage_of_files() -> ColumnElement[int]:
    """Return the bytes that the live files of a store count for, within what its column holds."""
    counted = func.coalesce(func.nullif(files.c.usage_bytes, 0), files.c.size_bytes, 0)
    total = func.sum(counted)
    held = case((total > MAX_USAGE, MAX_USAGE), (total > 0, total), else_=0)
    live = select(held).where(files.c.vector_store_id == stores.c.id, files.c.deleted_at.is_(None))
    usage: ColumnElement[int] = live.correlate(stores).scalar_subquery()
    return usage
