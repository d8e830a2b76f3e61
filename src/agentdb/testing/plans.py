"""How the database would run a statement: which indexes it uses, and what it reads in full."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Executable, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from agentdb.errors import ConfigurationError
from agentdb.testing.joined import is_shared
from agentdb.testing.statements import is_control
from agentdb.unit import Unit

# https://www.sqlite.org/eqp.html
_INDEX = re.compile(r"USING (?:COVERING )?INDEX (\S+)")
_SCAN = re.compile(r"^SCAN (\S+)(?: LEFT-JOIN)?$|^SEARCH (\S+) USING AUTOMATIC ")
_MADE = re.compile(r"^(?:MATERIALIZE|CO-ROUTINE) (\S+)")
"""What stands for the result of a subquery; the tables that it reads have lines of their own."""
_UNNAMED = re.compile(r"sqlite_autoindex_(.+)_\d+$")


@dataclass(frozen=True)
class Plan:
    """What the database answers to EXPLAIN.

    Attributes:
        text: The plan as the database words it; PostgreSQL puts in the values of parameters.
        indexes: The indexes that it uses, by the names of the schema on both databases.
        scans: What it reads from end to end, by table on PostgreSQL, by alias on SQLite; an index
            that is walked in its order does not count.
    """

    text: str
    indexes: frozenset[str]
    scans: frozenset[str]

    def assert_uses_index(self, index: str) -> None:
        """Fail unless the plan uses *index*.

        Raises:
            AssertionError: It does not; the message shows the plan.
        """
        if index not in self.indexes:
            raise AssertionError(f"the plan does not use {index}:\n{self.text}")

    def assert_scans_nothing(self) -> None:
        """Fail if the plan reads a table from end to end.

        Raises:
            AssertionError: It does; the message shows the plan.
        """
        if self.scans:
            raise AssertionError(f"the plan scans {', '.join(sorted(self.scans))}:\n{self.text}")


async def explain(session: AsyncSession | AsyncConnection | Unit, statement: Executable) -> Plan:
    """Return the plan of *statement* as the session would send it, without running it.

    So a tenant's unit of work explains the statement with its filter. What the session has not
    flushed is flushed first. On PostgreSQL scans are switched off as far as the statement can do
    without, because on the small tables of a test nothing else would ever be chosen. Where
    several indexes would do, the data decides, of which an empty table has none: fill the table,
    and send ANALYZE.

    Raises:
        AgentDBError: The statement is refused.
        ConfigurationError: On PostgreSQL, the database is the one that tests share.
    """
    source = session.session if isinstance(session, Unit) else session
    return await source.run_sync(explain_sync, statement)


async def assert_plan_uses_index(
    session: AsyncSession | AsyncConnection | Unit, statement: Executable, index: str
) -> None:
    """Fail unless the database would use *index* for *statement*; see `explain`.

    Raises:
        AssertionError: It would not; the message shows the plan.
    """
    (await explain(session, statement)).assert_uses_index(index)


async def assert_plan_scans_nothing(
    session: AsyncSession | AsyncConnection | Unit, statement: Executable
) -> None:
    """Fail if the database would read a table from end to end; see `explain`.

    Raises:
        AssertionError: It would; the message shows the plan.
    """
    (await explain(session, statement)).assert_scans_nothing()


def explain_sync(session: Session | Connection, statement: Executable) -> Plan:
    """Return the plan of *statement* on a synchronous session or connection; see `explain`."""
    if isinstance(session, Session):
        session.flush()
    connection = session.connection() if isinstance(session, Session) else session
    sql, parameters = _sent(session, connection, statement)
    if connection.dialect.name == "sqlite":
        return _plan_of_sqlite(connection, sql, parameters)
    return _plan_of_postgresql(connection, sql, parameters)


class _Stopped(Exception):  # noqa: N818 -- no error
    """Carries a statement away on its way to the driver."""


def _sent(
    session: Session | Connection, connection: Connection, statement: Executable
) -> tuple[str, Any]:
    """Return what would go to the driver: the filter of a session adds to the statement."""

    def stop(_: object, __: object, sql: str, parameters: object, *___: object) -> None:
        if not is_control(sql):  # A transaction may have to begin first.
            raise _Stopped(sql, parameters)

    event.listen(connection, "before_cursor_execute", stop)
    try:
        session.execute(statement)
    except _Stopped as stopped:
        sql, parameters = stopped.args
        return sql, parameters
    finally:
        event.remove(connection, "before_cursor_execute", stop)
    raise AssertionError("the statement was not sent")  # every execution passes the event


_SHARED = (
    "the planner sees what other tests left in the files of this database: mark the test with"
    " agentdb_plans"
)


def _plan_of_postgresql(connection: Connection, sql: str, parameters: Any) -> Plan:
    # A rollback leaves dead rows, longer files, and what ANALYZE counted; all change the costs.
    if is_shared(connection):
        raise ConfigurationError(_SHARED)
    # The savepoint takes the setting back, and keeps the transaction if the statement is wrong.
    with connection.begin_nested() as savepoint:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        words = connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {sql}", parameters)
        shown = "\n".join(words.scalars())
        found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", parameters).scalar_one()
        savepoint.rollback()
    nodes = list(_nodes(json.loads(found) if isinstance(found, str) else found))
    indexes = frozenset(node["Index Name"] for node in nodes if "Index Name" in node)
    scans = (node for node in nodes if node.get("Node Type") == "Seq Scan")
    return Plan(shown, indexes, frozenset(node["Relation Name"] for node in scans))


def _nodes(part: object) -> Iterator[dict[str, str]]:
    if isinstance(part, dict):
        node = cast("dict[str, Any]", part)
        yield node
        part = list(node.values())
    if isinstance(part, list):
        for inner in cast("list[object]", part):
            yield from _nodes(inner)


def _plan_of_sqlite(connection: Connection, sql: str, parameters: Any) -> Plan:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
    lines = [str(row[3]) for row in rows]
    made = {name for line in lines for name in _MADE.findall(line)}
    found = [match for line in lines if (match := _SCAN.match(line))]
    scans = {str(match[1] or match[2]) for match in found}
    indexes = {_named(connection, name) for line in lines for name in _INDEX.findall(line)}
    return Plan("\n".join(lines), frozenset(indexes), frozenset(scans - made))


def _named(connection: Connection, index: str) -> str:
    """Return the name of the constraint, for an index that SQLite has named itself."""
    unnamed = _UNNAMED.match(index)
    if unnamed is None:
        return index
    found = connection.execute(text("SELECT name FROM pragma_index_info(:i)"), {"i": index})
    columns = list(found.scalars())
    inspector = inspect(connection)
    key = inspector.get_pk_constraint(unnamed[1])
    if key["constrained_columns"] == columns:
        return key["name"] or index
    for unique in inspector.get_unique_constraints(unnamed[1]):
        if unique["column_names"] == columns:
            return unique["name"] or index
    return index
