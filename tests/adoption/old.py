"""Databases whose tables were made by other means: migrated ones that forgot their revision."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from agentdb.engines import make_sync_engine
from agentdb.settings import Settings
from agentdb.version import VERSION_TABLE
from tests.catalog.drift import run
from tests.rows import Rows, rows_of, store


def engine_of(url: str, schema: str | None = None) -> Engine:
    """Return an engine on the database."""
    return make_sync_engine(url, Settings(), schema=schema)


def forget(url: str, *statements: str) -> None:
    """Take the revision away, and run statements."""
    with engine_of(url).begin() as connection:
        run(connection, f"DROP TABLE {VERSION_TABLE}", *statements)


@contextmanager
def filled(url: str, schema: str | None = None) -> Generator[tuple[Session, Rows]]:
    """Yield a session, which commits at the end, and the stored rows of a tenant."""
    with Session(engine_of(url, schema), expire_on_commit=False) as session:
        rows = rows_of("acme")
        store(session, rows.values())
        yield session, rows
        session.commit()
