"""The examination: each part by itself, so that one that fails hides no other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from agentdb.doctor import installation, postgresql, schema, sqlite
from agentdb.doctor.report import CONNECTION, Finding, Report, Status
from agentdb.driver_errors import code_of
from agentdb.errors import AgentDBError, PermissionDeniedError
from agentdb.migrate.connections import Target, connected, reading

Part: TypeAlias = Callable[[Connection], Iterable[Finding]]

_PARTS: dict[str, tuple[tuple[str, Part], ...]] = {
    "postgresql": (
        ("server", postgresql.server),
        ("extensions", postgresql.extensions),
        ("role", postgresql.role),
        ("row-level security", postgresql.policies),
        ("pooler", postgresql.pooler),
        ("clock", postgresql.clock),
        ("invalid indexes", postgresql.invalid_indexes),
    ),
    "sqlite": (("sqlite", sqlite.server), ("integrity", sqlite.integrity)),
}
_SCHEMA: tuple[tuple[str, Part], ...] = (("verdict", schema.verdict), ("drift", schema.drift))


def examine(target: Target, *, schema: str | None = None) -> Report:
    """Look at a database, and at what this process would use it with; nothing is changed.

    Whatever fails, the database that cannot be reached included, is a finding and no exception. No
    host, user, password or URL is among the findings.

    Args:
        target: The database; a connection may be in a transaction.
        schema: Schema of the tables, on PostgreSQL.
    """
    return Report((*installation.versions(), *_database(target, schema)))


def _database(target: Target, schema: str | None) -> list[Finding]:
    found: list[Finding] = []
    if sqlite.is_absent(target):
        value = "there is no file of this name"
        return [Finding(CONNECTION, Status.PROBLEM, value, "`agentdb upgrade` makes it")]
    try:
        with connected(target, schema=schema) as connection:
            found.append(Finding(CONNECTION, Status.OK, connection.dialect.name))
            for name, part in (*_PARTS[connection.dialect.name], *_SCHEMA):
                found.extend(_part(connection, name, part))
    except (AgentDBError, SQLAlchemyError, OSError) as error:
        found.append(Finding(CONNECTION, Status.PROBLEM, _told(error)))
    return found


def _part(connection: Connection, name: str, part: Part) -> list[Finding]:
    try:
        with _apart(connection):
            return list(part(connection))
    except (AgentDBError, SQLAlchemyError) as error:
        if connection.invalidated:
            raise
        return [Finding(name, Status.PROBLEM, _told(error))]


@contextmanager
def _apart(connection: Connection) -> Generator[None]:
    """Read in a transaction that fails alone."""
    if connection.in_transaction():
        with connection.begin_nested():
            yield
    else:
        with reading(connection):
            yield


def _told(error: Exception) -> str:
    """Return what failed, without the names of roles and databases that some messages hold."""
    code = code_of(error.__cause__) if error.__cause__ is not None else None
    name = type(error).__name__ + (f" {code}" if code else "")
    is_ours = isinstance(error, AgentDBError) and not isinstance(error, PermissionDeniedError)
    return f"{name}: {error}" if is_ours else name
