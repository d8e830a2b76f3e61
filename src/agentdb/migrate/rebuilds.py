"""What a rebuilt table of SQLite may cost in a transaction that the host began."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from agentdb.errors import ConfigurationError, SchemaVersionError
from agentdb.migrate.tables import table_names

_REBUILT = ("CREATE TABLE _alembic_tmp_", 'CREATE TABLE "_alembic_tmp_')


@contextmanager
def references_kept(connection: Connection) -> Generator[None]:
    """Refuse to rebuild a table of SQLite while its rows would take others with them.

    SQLite changes a column by making the table anew, and dropping the old one deletes its rows, and
    theirs, where foreign keys are enforced. That cannot be switched in a transaction:
    https://www.sqlite.org/lang_altertable.html#otheralter.

    Raises:
        ConfigurationError: A table would be rebuilt, and they are; nothing of it is done yet.
        SchemaVersionError: A table was rebuilt, they are not, and a reference leads nowhere.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    is_enforced = bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())
    rebuilt: list[str] = []

    def watch(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.lstrip().startswith(_REBUILT):
            return
        if is_enforced:
            raise ConfigurationError(
                "a revision rebuilds a table, which deletes the rows that refer to it:"
                " switch foreign_keys off before the transaction"
            )
        rebuilt.append(statement)

    event.listen(connection, "before_cursor_execute", watch)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", watch)
    if rebuilt:
        _require_references(connection)


def _require_references(connection: Connection) -> None:
    found = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if {name for row in found for name in (row[0], row[2])} & set(table_names()):
        raise SchemaVersionError("the migration would leave references that lead nowhere")
