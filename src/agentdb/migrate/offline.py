"""The SQL of a migration, for people who may not run DDL from a program."""

from __future__ import annotations

from agentdb.migrate.limits import DEFAULT_LIMITS, Limits
from agentdb.migrate.locks import PROCESS
from agentdb.migrate.revisions import BASE, HEAD, resolve


def sql(
    dialect: str = "postgresql",
    revision: str = HEAD,
    *,
    start: str = BASE,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Return the SQL of a migration as a script; no database is needed.

    Args:
        dialect: ``postgresql`` or ``sqlite``.
        revision: Up to where: a revision, a version of the package, ``base`` or ``head``.
        start: From where, likewise; from a newer one the script goes down.
        schema: Schema of the tables, on PostgreSQL; it has to be there.
        limits: The time-outs that the script sets on PostgreSQL.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    from agentdb.migrate import environment  # noqa: PLC0415 -- imports Alembic

    span = f"{resolve(start) or BASE}:{resolve(revision) or BASE}"
    with PROCESS:
        return environment.written(span, dialect=dialect, schema=schema, limits=limits)
