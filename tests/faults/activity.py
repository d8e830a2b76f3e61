"""What the tests of faults ask a server."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from agentdb import Database, UnitOfWork


async def activity(url: str) -> list[tuple[str, str]]:
    """Return state and statement of the other connections to the database."""
    query = text(
        "SELECT state, query FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with Database(url) as database, database.begin_system(reason="test") as unit:
        return [(state, statement) for state, statement in await unit.session.execute(query)]


async def run_statement(unit: UnitOfWork, statement: str) -> Any:
    """Run a statement and return its first value."""
    return (await unit.session.execute(text(statement))).scalar()
