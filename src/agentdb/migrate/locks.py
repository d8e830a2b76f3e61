"""One migration of a database at a time: in this process, and among all processes.

On PostgreSQL the lock is an advisory one of a transaction, so that it holds behind a pooler and
ends with its holder. It lives on a connection of its own that does nothing else, and waiters ask
again instead of queueing: a connection that waits inside PostgreSQL, or works with a snapshot,
would stop ``CREATE INDEX CONCURRENTLY``, which waits for both.
https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
On SQLite it is the write lock, from ``BEGIN IMMEDIATE`` before the first revision to the COMMIT
after the last.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

from sqlalchemy import Connection, RootTransaction

from agentdb.errors import DeadlineError, SchemaVersionError, TransientError, UnavailableError
from agentdb.migrate.connections import limited, milliseconds, pragma, reading
from agentdb.migrate.limits import Limits, Progress
from agentdb.migrate.numbering import numbers_kept
from agentdb.poolers import is_pooled
from agentdb.search_path import mapped_schema

# Alembic's `op` and `context` are globals: two migrations in one process would mix.
PROCESS = Lock()

_TOLD_EVERY = 10.0


@asynccontextmanager
async def exclusive() -> AsyncGenerator[None]:
    """Hold the lock of the process without blocking the event loop that waits for it."""
    while not PROCESS.acquire(blocking=False):  # noqa: ASYNC110 -- threads have no event to await
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        PROCESS.release()


@dataclass
class Waiting:
    """The patience of one migration, and what it tells while it waits."""

    limits: Limits
    progress: Progress | None = None

    def __post_init__(self) -> None:
        """Start the clock."""
        self._deadline = time.monotonic() + self.limits.wait
        self._told = float("-inf")
        self._pause = 0.02

    @property
    def left(self) -> float:
        """Seconds until the patience ends; never quite none."""
        return max(self._deadline - time.monotonic(), 0.001)

    def pause(self, why: str) -> None:
        """Wait a little, longer each time.

        Raises:
            DeadlineError: The patience has ended.
        """
        now = time.monotonic()
        if now >= self._deadline:
            raise DeadlineError(f"{why}; gave up after {self.limits.wait:g} s")
        if self.progress is not None and now - self._told >= _TOLD_EVERY:
            self._told = now
            self.progress(f"{why}; waiting up to {self._deadline - now:.0f} s more")
        self._pause = min(self._pause * 1.5, 0.5)
        jittered = random.uniform(self._pause / 2, self._pause)  # noqa: S311 -- jitter
        time.sleep(min(jittered, self._deadline - now))


class Turn:
    """The right to migrate the database that *work* is connected to.

    Attributes:
        work: The connection that the revisions run on.
        repeats: Whether a transaction that failed can be run once more.
    """

    repeats = False

    def __init__(self, work: Connection) -> None:
        """Take note of the connection that the revisions run on."""
        self.work = work

    def transaction(self) -> AbstractContextManager[object]:
        """Run what commits together."""
        return nullcontext()

    def alone(self, waiting: Waiting) -> AbstractContextManager[object]:
        """Run what commits by itself."""
        del waiting
        return nullcontext()


class PostgresTurn(Turn):
    """The right that an advisory lock gives, while its connection lives."""

    repeats = True

    def __init__(self, work: Connection, lock: Connection) -> None:
        """Take note of both connections."""
        super().__init__(work)
        self._lock = lock

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Run what commits together, if the lock is still held at its end.

        Raises:
            UnavailableError: The connection of the lock broke: another may be migrating.
        """
        with self.work.begin():
            yield
            self._lock.exec_driver_sql("SELECT 1")

    @contextmanager
    def alone(self, waiting: Waiting) -> Generator[None]:
        """Run what no transaction may hold, such as building an index concurrently.

        It waits for the transactions of others until the patience ends: to give up sooner would
        mean to begin again, and nobody queues behind it. Behind a pooler nothing can be set for it,
        and it waits for as long as the server lets it.

        Raises:
            TransientError: A transaction did not end in time.
        """
        if self._is_pooled():
            yield
            return
        self._set_lock_timeout(milliseconds(waiting.left))
        try:
            yield
        finally:
            if not self.work.invalidated:
                self._set_lock_timeout(None)

    def _is_pooled(self) -> bool:
        with self.work.begin():
            answering = self.work.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            return is_pooled(self.work.connection.driver_connection, answering)

    def _set_lock_timeout(self, value: str | None) -> None:
        with self.work.begin():
            change = "RESET lock_timeout" if value is None else f"SET lock_timeout = '{value}'"
            self.work.exec_driver_sql(change)


@contextmanager
def turn(connection: Connection, waiting: Waiting, *, handed_in: bool) -> Generator[Turn]:
    """Wait until no other process migrates the database, and keep it so.

    Args:
        connection: To the database; in no transaction.
        waiting: How long to wait.
        handed_in: Whether the caller made the connection, and so wants the revisions to run on it;
            of our own, the first is for the lock, so that those who wait have one each.

    Raises:
        DeadlineError: Another process still held the lock at the end.
    """
    if connection.dialect.name == "sqlite":
        with _sqlite_turn(connection, waiting):
            yield Turn(connection)
        return
    with (
        connection.engine.connect() if handed_in else nullcontext(connection) as lock,
        _acquired(lock, key_of(connection), waiting),
        nullcontext(connection) if handed_in else _another(connection, waiting) as work,
        limited(work, waiting.limits),
    ):
        yield PostgresTurn(work, lock)


def _another(connection: Connection, waiting: Waiting) -> Connection:
    """Connect once more; those who wait may have the last connections, and give theirs up."""
    while True:
        try:
            made = connection.engine.connect()
        except UnavailableError as error:
            connection.exec_driver_sql("SELECT 1")  # raises if the server is gone
            waiting.pause(str(error))
        else:
            return made.execution_options(**connection.get_execution_options())


def key_of(connection: Connection) -> int:
    """Return the key of the advisory lock: for this library and schema; locks are per database."""
    schema = mapped_schema(connection)
    if schema is None:
        with reading(connection):
            schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    digest = blake2b(f"agentdb.migrate {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def try_lock(connection: Connection, key: int) -> bool:
    """Take the advisory lock for the current transaction, if it is free.

    The key is a literal: with a parameter the statement would keep a snapshot.
    """
    held = connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({key})")
    return bool(held.scalar_one())


def _acquired(connection: Connection, key: int, waiting: Waiting) -> RootTransaction:
    while True:
        transaction = connection.begin()
        # An idle holder is no forgotten one.
        connection.exec_driver_sql(
            "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN"
            " ('idle_in_transaction_session_timeout', 'transaction_timeout')"
        )
        if try_lock(connection, key):
            return transaction
        transaction.rollback()
        waiting.pause("another process is migrating this database")


@contextmanager
def _sqlite_turn(connection: Connection, waiting: Waiting) -> Generator[None]:
    with _without_foreign_keys(connection), _immediate(connection, waiting):
        with numbers_kept(connection):
            yield
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise SchemaVersionError("the migration would leave references that lead nowhere")


def _immediate(connection: Connection, waiting: Waiting) -> RootTransaction:
    while True:
        try:
            return connection.begin()
        except TransientError:
            waiting.pause("another process is writing to this database")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Generator[None]:
    """Switch foreign keys off before BEGIN: a rebuild of a table would delete its children.

    The pragma does nothing inside a transaction: https://www.sqlite.org/pragma.html#pragma_foreign_keys.
    """
    pragma(connection, "foreign_keys = OFF")
    try:
        yield
    finally:
        pragma(connection, "foreign_keys = ON")
