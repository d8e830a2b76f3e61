"""The SQL of a migration, for people who may not run DDL from a program."""

from __future__ import annotations

from agentdb.migrate.limits import DEFAULT_LIMITS, Limits
from agentdb.migrate.locks import PROCESS
from agentdb.migrate.revisions import BASE, HEAD, resolve


def sql(
    dialect: str = "postgresql",
    revision: str = HEAD,
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Return the SQL of a migration as a script; no database is needed.

    Args:
        dialect: ``postgresql`` or ``sqlite``.
        revision: Up to where; ``start:end`` takes it between two, downwards if the end is older.
            Each is a revision, a version of the package, ``base`` or ``head``.
        schema: Schema of the tables, on PostgreSQL; it has to be there.
        limits: The time-outs that the script sets on PostgreSQL.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    from agentdb.migrate import environment  # noqa: PLC0415 -- imports Alembic

    start, _, end = revision.rpartition(":")
    span = f"{resolve(start or BASE) or BASE}:{resolve(end) or BASE}"
    with PROCESS:
        return environment.written(span, dialect=dialect, schema=schema, limits=limits)
