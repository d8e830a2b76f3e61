"""Statements of the hot verbs, on the shortest way to the driver.

SQLAlchemy writes their text, checks the values on the way in and reads those on the way out, but
each is compiled once for a dialect and schema, and several go in one round trip. What a session
does for every statement beyond that costs more than the statement.

The rest is as for any other statement of the connection: what listens to it (``before_`` and
``after_cursor_execute``) hears of it, and ``handle_error`` translates what the driver raises.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.util import greenlet_spawn

from agentdb.openings import see_opening, take_opening


class Rows(NamedTuple):
    """The parameters of a statement that is run for many rows; on SQLite, where it returns nothing.

    Attributes:
        columns: The values of each parameter, as the database stores them.
    """

    columns: Mapping[str, Sequence[Any]]


Call: TypeAlias = tuple[Executable, Mapping[str, Any] | Rows]
"""A statement that is built once, and its parameters."""

Row: TypeAlias = tuple[Any, ...]

_ATTRIBUTE = "agentdb_compiled"
_SCHEMAS = "schema_translate_map"


class Compiled:
    """A statement as one dialect takes it."""

    def __init__(self, statement: Any, dialect: Dialect, schemas: Mapping[Any, Any] | None) -> None:
        options = {_SCHEMAS: schemas, "render_schema_translate": True} if schemas else {}
        # What the compiler tells of its parameters and columns is private, and all there is.
        compiled: Any = statement.compile(dialect=dialect, **options)
        self.text = str(compiled)
        self.returns = bool(compiled._result_columns)  # noqa: SLF001
        self._places = compiled.positiontup
        self._prepare: dict[str, Callable[[Any], Any]] = dict(compiled._bind_processors)  # noqa: SLF001
        self._fixed = self._checked(compiled.construct_params(_check=False))
        self._asked = [bind.key for bind in compiled.bind_names if bind.required]
        self._readers = _readers(compiled, dialect)

    def bind(self, parameters: Mapping[str, Any] | Rows) -> Any:
        """Return the parameters in the form of the driver, each checked by its type."""
        if isinstance(parameters, Rows):
            return list(zip(*[parameters.columns[name] for name in self._places], strict=True))
        values = {**self._fixed, **self._checked({name: parameters[name] for name in self._asked})}
        return values if self._places is None else tuple([values[name] for name in self._places])

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        prepare = self._prepare
        return {k: prepare[k](value) if k in prepare else value for k, value in values.items()}

    def read(self, rows: list[Row]) -> list[Row]:
        """Return rows of the driver as those of the columns' types."""
        if not self._readers or not rows:
            return rows
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for place, reader in self._readers.items():
            columns[place] = map(reader, columns[place])
        return list(zip(*columns, strict=True))


def _readers(compiled: Any, dialect: Dialect) -> dict[int, Callable[[Any], Any]]:
    """Return what reads the values of the columns that the driver does not, by their places."""
    kinds: list[Any] = [column.type for column in compiled._result_columns]  # noqa: SLF001
    found = {n: kind._cached_result_processor(dialect, None) for n, kind in enumerate(kinds)}  # noqa: SLF001
    return {place: reader for place, reader in found.items() if reader is not None}


@dataclass(slots=True)
class _Command:
    """A statement on its way.

    Attributes:
        text: As the driver takes it.
        parameters: Likewise.
        context: What listeners hear of it from, and hang on it.
        returns: Whether it has rows.
        many: Whether it is run for each of its parameters.
        is_done: Whether it has succeeded.
    """

    text: str
    parameters: Any
    context: SimpleNamespace
    returns: bool = False
    many: bool = False
    is_done: bool = False


def send_scripts(connection: Connection, *texts: str) -> None:
    """Run statements without parameters or rows, in one round trip on an asynchronous driver."""
    if connection.dialect.is_async:
        _Exchange(connection, [_Command(text, (), SimpleNamespace()) for text in texts]).run()
        return
    for text in texts:
        connection.exec_driver_sql(text)


def send(connection: Connection, calls: Sequence[Call]) -> list[list[Row]]:
    """Run statements one after another and return the rows of each, in one round trip.

    On PostgreSQL they go in one pipeline; each has a snapshot of its own, as if it were sent alone.
    On SQLite the thread of the connection runs them in one go. The first that fails ends it.
    """
    compiled = [_compiled(connection, statement) for statement, _ in calls]
    return _read(compiled, _Exchange(connection, _commands(compiled, calls)).run())


async def send_awaiting(
    connection: Connection, calls: Sequence[Call], *, commit: bool = False
) -> list[list[Row]]:
    """Do as `send`, without the greenlet that SQLAlchemy's own calls have to run in.

    With *commit* COMMIT goes along; the connection has to be told, by its own, which sends nothing.
    """
    compiled = [_compiled(connection, statement) for statement, _ in calls]
    commands = _commands(compiled, calls)
    return _read(compiled, await _Exchange(connection, commands, commit=commit))


def _commands(compiled: Sequence[Compiled], calls: Sequence[Call]) -> list[_Command]:
    return [
        _Command(
            form.text,
            form.bind(given),
            SimpleNamespace(),
            returns=form.returns,
            many=isinstance(given, Rows),
        )
        for form, (_, given) in zip(compiled, calls, strict=True)
    ]


def _read(compiled: Sequence[Compiled], fetched: Sequence[list[Row]]) -> list[list[Row]]:
    return [form.read(rows) for form, rows in zip(compiled, fetched, strict=True)]


class _Exchange:
    """Statements on their way to the driver and back."""

    def __init__(
        self, connection: Connection, commands: list[_Command], *, commit: bool = False
    ) -> None:
        is_postgresql = connection.dialect.name == "postgresql"
        last = [_Command("COMMIT", None, SimpleNamespace())] if commit else []
        self._first = _opening(connection)
        self._sent = [*self._first, *commands, *last]
        # On PostgreSQL nobody hears of BEGIN.
        self._heard = commands if is_postgresql else [*self._first, *commands]
        for command in self._heard:
            _tell_before(connection, command)
        take_opening(connection)  # not before a listener may have raised
        self._connection: Any = connection
        self._adapted: Any = connection.connection.dbapi_connection
        self._run = _run_postgresql if is_postgresql else _run_sqlite
        self._commands = commands

    def run(self) -> list[list[Row]]:
        """Run them in a greenlet."""
        try:
            fetched = self._adapted.run_async(self._sent_by)
        except BaseException as error:
            self._fail(error)
            raise
        return self._told(fetched)

    def __await__(self) -> Generator[Any, Any, list[list[Row]]]:
        """Run them in a coroutine."""
        return self._awaited().__await__()

    async def _awaited(self) -> list[list[Row]]:
        try:
            fetched = await self._sent_by(self._adapted.driver_connection)
        except BaseException as error:
            await greenlet_spawn(self._fail, error)
            raise
        return self._told(fetched)

    async def _sent_by(self, driver: Any) -> list[list[Row]]:
        return await self._run(self._sent, driver)

    def _told(self, fetched: list[list[Row]]) -> list[list[Row]]:
        for command in self._heard:
            _tell_after(self._connection, command)
        first = len(self._first)
        return fetched[first : first + len(self._commands)]

    def _fail(self, error: BaseException) -> None:
        """Do what SQLAlchemy does: translate, drop a broken connection, or a cancelled task's."""
        if isinstance(error, Exception):
            try:
                # Not all drivers raise their own errors.
                self._adapted._handle_exception(error)  # noqa: SLF001
            except Exception as translated:  # noqa: BLE001 -- goes on below
                error = translated
        undone = (command.text for command in self._sent if not command.is_done)
        text = next(undone, self._sent[-1].text)
        try:
            raise error  # noqa: TRY301 -- it asks the interpreter, too, for what is raised
        except BaseException as raised:
            self._connection._handle_dbapi_exception(raised, text, None, None, None)  # noqa: SLF001
            raise


def _opening(connection: Connection) -> list[_Command]:
    """Return what begins the transaction, if it has waited for this."""
    opening = see_opening(connection)
    if opening is None:
        return []
    context = SimpleNamespace()
    begin = _Command(opening.begin, None, context)
    settings = _Command(opening.settings, (opening.tenant,), context)
    return [begin, settings] if opening.settings else [begin]


def _compiled(connection: Connection, statement: Executable) -> Compiled:
    dialect = connection.dialect
    schemas = connection.get_execution_options().get(_SCHEMAS)
    # On the dialect, which the compiled ones refer to: they go when its engine does.
    known: dict[Any, Compiled] = dialect.__dict__.setdefault(_ATTRIBUTE, {})
    key = (statement, frozenset(schemas.items()) if schemas else None)
    if key not in known:
        known[key] = Compiled(statement, dialect, schemas)
    return known[key]


def _tell_before(connection: Any, command: _Command) -> None:
    for listener in connection.dispatch.before_cursor_execute:
        command.text, command.parameters = listener(
            connection, None, command.text, command.parameters, command.context, command.many
        )
    if connection._echo:  # noqa: SLF001 -- what the engine's ``echo`` sets
        connection._log_info(command.text)  # noqa: SLF001


def _tell_after(connection: Connection, command: _Command) -> None:
    for listener in connection.dispatch.after_cursor_execute:
        listener(connection, None, command.text, command.parameters, command.context, command.many)


async def _run_postgresql(commands: Sequence[_Command], driver: Any) -> list[list[Row]]:
    if may_pipeline(driver):
        from agentdb.pipelines import run_pipeline  # noqa: PLC0415 -- as below

        return await run_pipeline(driver, commands)
    found: list[list[Row]] = []
    for command in commands:
        cursor = await driver.execute(command.text, command.parameters)
        found.append(await cursor.fetchall() if command.returns else [])
        command.is_done = True
    return found


def may_pipeline(driver: Any) -> bool:
    """Whether libpq has pipelines, and no pooler stands before the server: some know none."""
    return driver.prepare_threshold is not None and _has_pipelines()


@cache
def _has_pipelines() -> bool:
    from psycopg import Pipeline  # noqa: PLC0415 -- SQLite users need not load psycopg

    return Pipeline.is_supported()


async def _run_sqlite(commands: Sequence[_Command], driver: Any) -> list[list[Row]]:
    def run() -> list[list[Row]]:
        cursor = driver._conn.cursor()  # noqa: SLF001
        found: list[list[Row]] = []
        for command in commands:
            execute = cursor.executemany if command.many else cursor.execute
            found.append(execute(command.text, command.parameters or ()).fetchall())
            command.is_done = True
        return found

    # Private: each call of the public interface is a switch of threads of its own.
    fetched: list[list[Row]] = await driver._execute(run)  # noqa: SLF001
    return fetched
