"""Indexes on tables that are full, built without stopping those who write."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

from alembic.operations import Operations
from sqlalchemy import ColumnElement, TextClause, text

HostOperations: TypeAlias = Operations | ModuleType
"""What a revision knows as ``op``: the module ``alembic.op``, or an object of its class."""

_VALID = text("""
    SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relname = :index AND indrelid = CAST(
        coalesce(quote_ident(:schema) || '.', '') || quote_ident(:table) AS regclass)
""")


def create_index_concurrently(
    op: HostOperations,
    name: str,
    table: str,
    columns: Sequence[str | TextClause | ColumnElement[Any]],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str | None = None,
) -> None:
    """Create an index from a revision that says ``atomic = False``.

    On PostgreSQL it is built concurrently, outside of any transaction. What a build that was
    killed left behind is dropped first, and one that was finished is kept, so that the revision
    can run again. On SQLite, and inside a host's transaction, it is an ordinary index.

    Args:
        op: ``alembic.op``.
        name: The index.
        table: Its table.
        columns: Its columns, in order.
        unique: Whether it forbids duplicates; a concurrent build that meets one fails.
        where: Predicate of a partial index.
        using: Method, on PostgreSQL.
    """
    context = op.get_context()
    predicate = None if where is None else text(where)
    options: dict[str, Any] = {"postgresql_where": predicate, "sqlite_where": predicate}
    if using is not None:
        options["postgresql_using"] = using
    if context.dialect.name != "postgresql" or context.opts.get("in_host_transaction"):
        op.create_index(name, table, list(columns), unique=unique, **options)
        return
    with context.autocommit_block():
        if context.as_sql or not _is_built(op, name, table):
            op.create_index(
                name,
                table,
                list(columns),
                unique=unique,
                if_not_exists=True,
                postgresql_concurrently=True,
                **options,
            )


def _is_built(op: HostOperations, name: str, table: str) -> bool:
    """Tell whether the index is there, and drop one that is not valid."""
    place = {"index": name, "table": table, "schema": op.get_context().version_table_schema}
    valid = op.get_bind().execute(_VALID, place).scalar_one_or_none()
    if valid is False:
        op.drop_index(name, table, postgresql_concurrently=True)
    return bool(valid)
