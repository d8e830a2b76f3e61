"""Where a database is."""

from __future__ import annotations

from agentdb.migrate.connections import Target, connected, revision_at


def current(target: Target, *, schema: str | None = None) -> str | None:
    """Return the revision that the database is at; None for one that has none.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    with connected(target, schema=schema) as connection:
        return revision_at(connection)
