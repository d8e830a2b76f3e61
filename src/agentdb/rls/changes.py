"""Enabling and disabling row-level security: what changes a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import Connection

from agentdb.migrate.connections import Target
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits, Progress
from agentdb.migrate.runs import change
from agentdb.migrate.verdicts import require_current
from agentdb.rls import statements
from agentdb.rls.state import TableState, is_recorded, table_states
from agentdb.rls.status import require_postgresql
from agentdb.search_path import mapped_schema
from agentdb.tenancy.policies import policies_of


def enable(
    target: Target,
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> list[str]:
    """Put all tables under their policies, in one transaction, and return what was run.

    Only what is missing or other than this release makes it is run, so a second call does nothing
    and locks no table. What is run locks each table for a moment against all others; a lock that
    does not come in time is tried for again, with the whole transaction. That the policies are
    there is recorded: later migrations keep them, and give them to the tables that they make.
    Concurrent calls, and migrations, wait for each other. Policies that are not ours stay.

    Args:
        target: The database, connected to as the owner of the tables.
        schema: Schema that holds the tables.
        limits: How long to wait.
        progress: Is told what is waited for.

    Raises:
        SchemaVersionError: The schema is not the one of this release: upgrade first.
        PermissionDeniedError: The role does not own the tables.
        DeadlineError: Another session held a lock when the patience ended.
        ConfigurationError: The database is SQLite.
        UnavailableError: The database cannot be reached.
    """
    return _change(target, schema, _missing, limits, progress)


def disable(
    target: Target,
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> list[str]:
    """Free all tables of row-level security, in one transaction, and return what was run.

    Policies that are not ours stay, and have no effect. Arguments, errors and promises are those of
    `enable`.
    """
    return _change(target, schema, _superfluous, limits, progress)


def keep(connection: Connection) -> None:
    """Give tables that a migration has made or changed their policies, where it is recorded."""
    if _is_kept(connection):
        _run(connection, _missing(connection))


def loosen(connection: Connection) -> None:
    """Drop the policies that look into other tables, which could not be dropped before them."""
    if _is_kept(connection):
        schema = mapped_schema(connection)
        states = table_states(connection)
        _run(
            connection,
            [
                statements.drop_policy(state.table, policy.name, schema)
                for state in states
                for policy in policies_of(state.table)
                if policy.reads
            ],
        )


def _is_kept(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql" and is_recorded(connection)


def _change(
    target: Target,
    schema: str | None,
    needed: Callable[[Connection], Iterable[str]],
    limits: Limits,
    progress: Progress | None,
) -> list[str]:
    def work(connection: Connection) -> list[str]:
        require_postgresql(connection)
        require_current(connection, schema=schema)
        return _run(connection, needed(connection))

    return change(target, work, schema=schema, limits=limits, progress=progress)


def _run(connection: Connection, needed: Iterable[str]) -> list[str]:
    run = list(needed)
    for statement in run:
        # The driver takes a single percent sign, of a schema's name, for a parameter.
        connection.exec_driver_sql(statement.replace("%", "%%"))
    return run


def _missing(connection: Connection) -> Iterator[str]:
    schema = mapped_schema(connection)
    states = table_states(connection)
    present = {state.table for state in states}
    for state in states:
        yield from _completion(state, schema, present)
    if not is_recorded(connection):
        yield statements.mark(schema)


def _completion(state: TableState, schema: str | None, present: set[str]) -> Iterator[str]:
    for name in state.changed:
        yield statements.drop_policy(state.table, name, schema)
    for policy in policies_of(state.table):
        # Half-way down, a table that a policy looks into may be gone: without it none is visible.
        possible = policy.reads is None or policy.reads in present
        if possible and policy.name in {*state.missing, *state.changed}:
            yield statements.create_policy(policy, schema)
    if not (state.enabled and state.forced):
        yield statements.force(state.table, schema)


def _superfluous(connection: Connection) -> Iterator[str]:
    schema = mapped_schema(connection)
    for state in table_states(connection):
        if state.enabled or state.forced:
            yield statements.release(state.table, schema)
        for policy in policies_of(state.table):
            if policy.name not in state.missing:
                yield statements.drop_policy(state.table, policy.name, schema)
    if is_recorded(connection):
        yield statements.unmark(schema)
