"""Translation of what the drivers raise into the error tree, in one place for every statement.

PostgreSQL's errors are told apart by their SQLSTATE, SQLite's by their result code, neither by the
class of the exception or its text: https://www.postgresql.org/docs/current/errcodes-appendix.html,
https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import copy
from typing import Any

from sqlalchemy import Connection, Engine, PrimaryKeyConstraint, Table, UniqueConstraint, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import MultipleResultsFound, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from agentdb.errors import (
    AgentDBError,
    CorruptDatabaseError,
    DeadlineError,
    DuplicateError,
    InvalidValueError,
    MultipleRowsError,
    NotFoundError,
    PermissionDeniedError,
    ReferencedError,
    SchemaVersionError,
    StaleVersionError,
    TransientError,
    UnavailableError,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from agentdb.orm import Base
from agentdb.refusals import refusal

READ_ONLY_OPTION = "agentdb_read_only"
"""Execution option of a connection whose unit of work only reads."""

SINGLE_OPTION = "agentdb_single"
"""Execution option of a connection whose unit of work is for one verb."""

_BEHIND = "the schema lacks what this release needs; run `agentdb upgrade`"
_UNMANAGED = "tables or types of these names exist, and no revision says that they are agentdb's"
_GONE = "the connection to the database was lost"


def translate_errors(engine: Engine) -> None:
    """Make *engine* raise errors of this library instead of the driver's."""
    event.listen(engine, "handle_error", _on_error, retval=True)


@contextmanager
def translated_errors(connection: Connection) -> Generator[None]:
    """Do so on one connection of an engine that is the host's, for as long as we use it."""

    def on_error(context: ExceptionContext) -> BaseException | None:
        is_done = isinstance(getattr(context, "chained_exception", None), AgentDBError)
        return None if context.connection is not connection or is_done else _on_error(context)

    event.listen(connection.engine, "handle_error", on_error, retval=True)
    try:
        yield
    finally:
        event.remove(connection.engine, "handle_error", on_error)


def _on_error(context: ExceptionContext) -> BaseException | None:
    error = context.original_exception
    raised: Any = context.sqlalchemy_exception
    if isinstance(error, AgentDBError) and raised is error:
        # A type refused a value. SQLAlchemy would raise the error as its own cause, and whoever
        # follows the causes would never come to an end.
        return copy(error)
    if not isinstance(error, Exception) or isinstance(error, AgentDBError):
        return None
    translated = _from_sqlite(error, context) or _from_psycopg(error, context)
    if isinstance(translated, UnavailableError):
        translated.lost = context.is_disconnect
    if translated is not None:
        _scrub(error, translated)
    return translated


def may_pass(error: UnavailableError) -> bool:
    """Whether another try may find the database there.

    A full disk, a file that cannot be opened and a refused log-in stay as they are.
    """
    code = code_of(error.__cause__) if error.__cause__ is not None else None
    return error.lost or code is None or code == "53300" or code.startswith(("08", "57P"))


def _scrub(error: Exception, translated: AgentDBError) -> None:
    """Take the text out of the driver's error: its DETAIL quotes whole rows.

    Code that needs the rest finds it in ``__cause__.diag``, which nothing prints.
    """
    error.args = (f"[{code_of(error) or 'no code'}] {type(translated).__name__}",)


def code_of(error: BaseException) -> str | None:
    """Return the SQLSTATE, or the name of SQLite's result code."""
    state: str | None = getattr(error, "sqlstate", None)
    name: str | None = getattr(error, "sqlite_errorname", None)
    return state or name


def _is_delete(context: ExceptionContext) -> bool:
    return (context.statement or "").lstrip().upper().startswith("DELETE")


def _foreign_key(context: ExceptionContext, constraint: str | None) -> AgentDBError:
    """Tell a missing parent from a parent in use: only the statement knows, on both databases."""
    if _is_delete(context):
        return ReferencedError("the row is still referenced", constraint=constraint)
    return NotFoundError("the row refers to one that does not exist")


def _check(context: ExceptionContext, constraint: str | None) -> AgentDBError:
    """A deletion meets a CHECK where ON DELETE SET NULL empties a column that the CHECK needs."""
    if _is_delete(context):
        return ReferencedError("the row is still referenced", constraint=constraint)
    return InvalidValueError(f"{constraint} forbids the row")


def _is_read_unit(context: ExceptionContext) -> bool:
    connection = context.connection
    return connection is not None and bool(connection.get_execution_options().get(READ_ONLY_OPTION))


def _from_psycopg(error: Exception, context: ExceptionContext) -> AgentDBError | None:
    if not type(error).__module__.startswith("psycopg"):
        return None
    state = code_of(error)
    if state is None:
        return _without_state(error, context)
    exact = _BY_STATE.get(state)
    if exact is not None:
        return exact(_Report(error, context, state))
    return _BY_CLASS.get(state[:2], _other)(_Report(error, context, state))


def _without_state(error: Exception, context: ExceptionContext) -> AgentDBError:
    """Errors that psycopg raises by itself: mostly a connection that failed or broke."""
    name = type(error).__name__
    if name == "DataError":
        return InvalidValueError("the driver refuses the value")
    if name in {"OperationalError", "ConnectionTimeout", "InterfaceError"}:
        if context.connection is None:
            return UnavailableError("the database cannot be reached")
        if _is_lost(context):
            context.is_disconnect = True
            return UnavailableError(_GONE)
    return AgentDBError(f"the driver failed: {name}")


def _is_lost(context: ExceptionContext) -> bool:
    """Whether the connection is of no more use.

    It is still whole where libpq refused to send: a statement has 65,535 parameters at the most.
    Where a command of the driver's own was cut off, as a COPY, no other can be sent after it.
    """
    connection = context.connection
    if connection is None or connection.closed or connection.invalidated:
        return True
    driver: Any = connection.connection.driver_connection
    if getattr(driver, "closed", True):
        return True
    return str(driver.info.transaction_status.name) == "ACTIVE"


class _Report:
    """A server error and the names that it carries."""

    def __init__(self, error: Any, context: ExceptionContext, state: str) -> None:
        self.context = context
        self.state = state
        self.constraint: str | None = error.diag.constraint_name
        self.table: str | None = error.diag.table_name
        self.column: str | None = error.diag.column_name
        # Messages come in the language of the server, and leave its functions and the words of SQL
        # as they are (https://www.postgresql.org/docs/current/protocol-error-fields.html).
        is_policy = error.diag.source_function == "ExecWithCheckOptions"
        message: str = error.diag.message_primary or ""
        self.is_hidden_conflict: bool = is_policy and "USING" in message
        self.refusal = refusal(message)

    @property
    def place(self) -> dict[str, str | None]:
        return {"table": self.table, "column": self.column}


def _other(report: _Report) -> AgentDBError:
    return AgentDBError(f"the database refused the statement [{report.state}]")


def _invalid(report: _Report) -> AgentDBError:
    return InvalidValueError(f"the database refused a value [{report.state}]", **report.place)


def _unavailable(report: _Report) -> AgentDBError:
    return UnavailableError(f"the database will not serve [{report.state}]")


def _transient(report: _Report) -> AgentDBError:
    return TransientError(f"run the unit of work again [{report.state}]")


def _read_only(report: _Report) -> AgentDBError:
    if _is_read_unit(report.context):
        return PermissionDeniedError("a unit of work of `read` writes nothing")
    # A standby behind a load balancer: this connection will never be able to write.
    report.context.is_disconnect = True
    return UnavailableError(f"the server only reads [{report.state}]")


def _denied(report: _Report) -> AgentDBError:
    if report.is_hidden_conflict:
        # ON CONFLICT DO UPDATE met a row that row-level security hides: the key is another's.
        return DuplicateError("a unique key is taken")
    return PermissionDeniedError("the role of the database may not do this [42501]")


def _unreadable(report: _Report) -> AgentDBError:
    return PermissionDeniedError(report.refusal) if report.refusal else _invalid(report)


def _unsupported(report: _Report) -> AgentDBError:
    # To BEGIN … READ WRITE a standby answers that it cannot.
    is_begin = (report.context.statement or "").startswith("BEGIN")
    return _read_only(report) if is_begin else _other(report)


_BY_STATE: dict[str, Callable[[_Report], AgentDBError]] = {
    "22001": lambda r: ValueTooLongError("the database refused a long value", limit=0, **r.place),
    "22003": lambda r: ValueOutOfRangeError("the database refused a large number", **r.place),
    "22P02": _unreadable,
    "23001": lambda r: ReferencedError("the row is still referenced", constraint=r.constraint),
    "23502": lambda r: InvalidValueError("a value is required", **r.place),
    "23503": lambda r: _foreign_key(r.context, r.constraint),
    "23505": lambda r: DuplicateError(f"{r.constraint} is taken", constraint=r.constraint),
    "23514": lambda r: _check(r.context, r.constraint),
    "0A000": _unsupported,
    "25006": _read_only,
    "25P02": lambda _: AgentDBError("an earlier statement of the unit of work failed [25P02]"),
    "3D000": lambda _: UnavailableError("the database does not exist [3D000]"),
    "3F000": lambda _: SchemaVersionError(_BEHIND),
    "40001": _transient,
    "40P01": _transient,
    "42501": _denied,
    "42703": lambda _: SchemaVersionError(_BEHIND),
    "42704": lambda _: SchemaVersionError(_BEHIND),
    "42710": lambda _: SchemaVersionError(_UNMANAGED),
    "42P01": lambda _: SchemaVersionError(_BEHIND),
    "42P07": lambda _: SchemaVersionError(_UNMANAGED),
    "55P03": _transient,
    "57014": lambda _: DeadlineError("the statement ran into its time limit [57014]"),
    "XX001": lambda _: CorruptDatabaseError("the database is damaged [XX001]"),
    "XX002": lambda _: CorruptDatabaseError("an index of the database is damaged [XX002]"),
}
_BY_CLASS: dict[str, Callable[[_Report], AgentDBError]] = {
    "08": _unavailable,
    "22": _invalid,
    "25": _unavailable,
    "28": lambda r: UnavailableError(f"the database refused the log-in [{r.state}]"),
    "53": _unavailable,
    "54": lambda r: ValueTooLongError(
        f"the database refused a large value [{r.state}]", limit=0, **r.place
    ),
    "57": _unavailable,
    "58": _unavailable,
}


def _from_sqlite(error: Exception, context: ExceptionContext) -> AgentDBError | None:
    if isinstance(error, OverflowError):
        return ValueOutOfRangeError("an integer exceeds 64 bits")
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    text = str(error)
    if code is None:
        return _without_code(error, text)
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        return _constraint(code, text, context)
    if code & 0xFF == sqlite3.SQLITE_READONLY and _is_read_unit(context):
        return PermissionDeniedError("a unit of work of `read` writes nothing")
    return _by_text(text) or _BY_CODE.get(code & 0xFF, _other_code)(code)


def _by_text(text: str) -> AgentDBError | None:
    """Tell the errors of a wrong schema, which share SQLite's general code."""
    if text.startswith(("no such table", "no such column")):
        return SchemaVersionError(_BEHIND)
    if text.endswith("already exists"):
        return SchemaVersionError(_UNMANAGED)
    return None


def _without_code(error: sqlite3.Error, text: str) -> AgentDBError:
    if "closed" in text or "Connection" in text:
        return UnavailableError(_GONE)
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return InvalidValueError("the driver refuses the value")
    return AgentDBError(f"the driver failed: {type(error).__name__}")


def _constraint(code: int, text: str, context: ExceptionContext) -> AgentDBError:
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return _foreign_key(context, None)
    if code == sqlite3.SQLITE_CONSTRAINT_NOTNULL:
        table, _, column = text.rpartition(": ")[2].partition(".")
        return InvalidValueError("a value is required", table=table, column=column)
    if code == sqlite3.SQLITE_CONSTRAINT_CHECK:
        return _check(context, text.rpartition(": ")[2])
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return ReferencedError("the row is still referenced")
    constraint = _unique_name(text)
    return DuplicateError(f"{constraint} is taken", constraint=constraint)


def _unique_name(text: str) -> str | None:
    """Find the constraint that SQLite names by its columns: ``t.a, t.b``, or ``index 'name'``."""
    where = text.rpartition(": ")[2]
    if quoted := re.fullmatch(r"index '(.+)'", where):
        return quoted.group(1)
    names = [part.partition(".") for part in where.split(", ")]
    table = Base.metadata.tables.get(names[0][0])
    return None if table is None else unique_names(table).get(tuple(name[2] for name in names))


def unique_names(table: Table) -> dict[tuple[str, ...], str]:
    """Return the unique constraints and indexes of *table* by their columns."""
    found = {
        tuple(c.name for c in index.columns): str(index.name)
        for index in table.indexes
        if index.unique
    }
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
            found[tuple(c.name for c in constraint.columns)] = str(constraint.name)
    return found


def _other_code(code: int) -> AgentDBError:
    return AgentDBError(f"the database refused the statement [{code}]")


_BY_CODE: dict[int, Callable[[int], AgentDBError]] = {
    sqlite3.SQLITE_BUSY: lambda _: TransientError("the database is busy"),
    sqlite3.SQLITE_LOCKED: lambda _: TransientError("the table is busy"),
    sqlite3.SQLITE_INTERRUPT: lambda _: DeadlineError("the statement was interrupted"),
    sqlite3.SQLITE_CORRUPT: lambda _: CorruptDatabaseError("the database file is damaged"),
    sqlite3.SQLITE_NOTADB: lambda _: CorruptDatabaseError("the file is not a SQLite database"),
    sqlite3.SQLITE_CANTOPEN: lambda _: UnavailableError("the database file cannot be opened"),
    sqlite3.SQLITE_READONLY: lambda _: UnavailableError("the database file is read-only"),
    sqlite3.SQLITE_FULL: lambda _: UnavailableError("the disk is full"),
    sqlite3.SQLITE_IOERR: lambda _: UnavailableError("the database file cannot be read or written"),
    sqlite3.SQLITE_PERM: lambda _: PermissionDeniedError("no access to the database file"),
    sqlite3.SQLITE_MISMATCH: lambda _: InvalidValueError("a value has the wrong type"),
    sqlite3.SQLITE_TOOBIG: lambda _: ValueTooLongError("a value is too long", limit=1_000_000_000),
}


@contextmanager
def orm_errors() -> Generator[None]:
    """Translate what SQLAlchemy raises by itself, without a driver's error behind it."""
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError("no connection became free in time") from error
    except StaleDataError as error:
        raise StaleVersionError("a row was changed or deleted meanwhile") from error
    except MultipleResultsFound as error:
        raise MultipleRowsError("several rows match where one was asked for") from error
    except SQLAlchemyError as error:
        raise AgentDBError(f"the unit of work failed: {type(error).__name__}") from error
