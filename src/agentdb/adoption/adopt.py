"""Recording the revision of a database that is as the models say."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from agentdb.adoption import keys
from agentdb.adoption.facts import Survey
from agentdb.adoption.reach import Reach
from agentdb.adoption.script import in_order
from agentdb.adoption.survey import survey
from agentdb.errors import ConfigurationError, SchemaVersionError, TransientError
from agentdb.migrate.connections import Target, connected, reading
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits, Progress
from agentdb.migrate.locks import PROCESS, Turn, Waiting, turn
from agentdb.migrate.preflight import prepare
from agentdb.migrate.revisions import HEAD
from agentdb.search_path import mapped_schema

_SHOWN = 5


def adopt(
    target: Target,
    *,
    schema: str | None = None,
    accept: Collection[str] = (),
    apply: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Survey:
    """Record the newest revision in a database whose tables were made by other means.

    Bare keys of conversations are rewritten with the runs that refer to them. All of it is one
    transaction, alone among upgraders; writers of conversations and runs wait until it ends. Stop
    those of the old application before: they would go on making bare keys.

    Args:
        target: The database; a connection must be in no transaction.
        schema: Schema of the tables, on PostgreSQL.
        accept: Keys of differences to leave as they are, or patterns such as ``*:default``.
        apply: Close the harmless differences first, with the SQL of `script`.
        limits: How long to wait and work.
        progress: Is told what is waited for.

    Returns:
        The survey of the database as it was before anything was changed.

    Raises:
        SchemaVersionError: It has a revision already or none of our tables, rows stand against a
            rule, or differences remain that are not accepted. Nothing was changed.
        ConfigurationError: The connection is in a transaction, or *schema* is given for SQLite.
        PermissionDeniedError: The role lacks a right.
        DeadlineError: Another process migrated, or held a lock, for too long.
        UnavailableError: The database cannot be reached, or is read-only.
    """
    waiting = Waiting(limits, progress)
    with connected(target, schema=schema) as connection:
        if connection.in_transaction():
            raise ConfigurationError("adopt over a connection that is in no transaction")
        with turn(connection, waiting, handed_in=isinstance(target, Connection)) as mine:
            # Refused here, it has kept nobody waiting.
            with reading(mine.work):
                _require(survey(mine.work), accept, apply=apply)
            prepare(mine.work)
            return _patiently(mine, waiting, accept, apply=apply)


def _patiently(mine: Turn, waiting: Waiting, accept: Collection[str], *, apply: bool) -> Survey:
    while True:
        try:
            with mine.transaction():
                return _adopted(mine.work, accept, apply=apply)
        except TransientError:
            if not mine.repeats:
                raise
            waiting.pause("another session holds the lock on a table")


def _adopted(connection: Connection, accept: Collection[str], *, apply: bool) -> Survey:
    keys.hold(Reach(connection, mapped_schema(connection), survey(connection).differences))
    before = survey(connection)
    _require(before, accept, apply=apply)
    if apply:
        _close(connection, before)
    after = survey(connection) if apply else before
    # What was closed differently than meant would show here, and undo all.
    _require(after, accept, apply=False)
    keys.rewrite(Reach(connection, mapped_schema(connection), after.differences))
    _stamp(connection)
    return before


def _require(found: Survey, accept: Collection[str], *, apply: bool) -> None:
    refusals = found.refusals(accept, apply=apply)
    if refusals:
        more = len(refusals) - _SHOWN
        shown = [*refusals[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise SchemaVersionError("; ".join(shown))


def _close(connection: Connection, found: Survey) -> None:
    for difference in in_order(found.differences):
        for statement in difference.statements:
            # psycopg takes a single percent sign for a parameter.
            on_psycopg = connection.dialect.name == "postgresql"
            connection.exec_driver_sql(statement.replace("%", "%%") if on_psycopg else statement)


def _stamp(connection: Connection) -> None:
    from agentdb.migrate import environment  # noqa: PLC0415 -- imports Alembic

    with PROCESS:
        environment.run("stamp", connection, HEAD)
