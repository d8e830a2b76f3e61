"""Row-level security over a migration, where it is recorded that it stays."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection


@contextmanager
def policies_kept(connection: Connection) -> Generator[None]:
    """Give all tables their policies when the block ends, in its transaction if it has one.

    Meanwhile no policy looks into another table, so that each can be dropped.
    """
    from agentdb.rls.changes import keep, loosen  # noqa: PLC0415 -- maps all tables

    if not connection.in_transaction():
        yield
        with connection.begin():
            keep(connection)
        return
    loosen(connection)
    yield
    keep(connection)
