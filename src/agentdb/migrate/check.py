"""How a database differs from the models."""

from __future__ import annotations

from agentdb.errors import SchemaVersionError
from agentdb.migrate.connections import Target, connected, reading
from agentdb.migrate.locks import PROCESS
from agentdb.migrate.verdicts import verdict_on


def check(target: Target, *, schema: str | None = None) -> list[str]:
    """Return how the tables of the database differ from the models; empty where they do not.

    Alembic compares tables, columns, types, keys and indexes; predicates of indexes and generated
    expressions are beyond it.

    Raises:
        SchemaVersionError: The database is not at the newest revision.
    """
    from agentdb.migrate.environment import differences  # noqa: PLC0415 -- imports Alembic

    with PROCESS, connected(target, schema=schema) as connection, reading(connection):
        found = verdict_on(connection)
        if found.revision != found.head:
            raise SchemaVersionError(found.detail)
        return differences(connection)
