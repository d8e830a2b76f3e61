"""Upgrades, downgrades and stamps: what changes a database."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import groupby
from typing import Literal, TypeVar

from sqlalchemy import Connection

from agentdb.errors import (
    ConfigurationError,
    DuplicateError,
    SchemaVersionError,
    TransientError,
)
from agentdb.migrate.connections import Target, connected, looking, reading, revision_at
from agentdb.migrate.kept_policies import policies_kept
from agentdb.migrate.limits import DEFAULT_LIMITS, Limits, Progress
from agentdb.migrate.locks import PROCESS, Turn, Waiting, turn
from agentdb.migrate.preflight import prepare
from agentdb.migrate.revisions import BASE, HEAD, Phase, Revision, between, resolve
from agentdb.migrate.verdicts import require_unused, unknown

T = TypeVar("T")


def upgrade(
    target: Target,
    revision: str = HEAD,
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    phase: Phase | None = None,
    progress: Progress | None = None,
) -> list[Revision]:
    """Apply the revisions up to *revision*, and return those that this call applied.

    Concurrent upgraders of one database and schema, in any process, wait for each other; the later
    ones find nothing left to do, and where there is nothing to do from the start no lock is taken.
    What fails or is killed leaves the database at the last revision that was applied: all of them
    are one transaction, but for those on PostgreSQL that build an index concurrently and so stand
    alone. A statement that does not get its lock in time is tried again, with its transaction.

    Args:
        target: The database; a connection must be in no transaction.
        revision: A revision, a version of the package, or ``head``, the newest of this release.
        schema: Schema that holds the tables, on PostgreSQL; made if it does not exist.
        limits: How long to wait and work.
        phase: ``"expand"`` stops before the first revision that the release before could not work
            with; ``"contract"`` and None apply them all.
        progress: Is told what is waited for and what was applied.

    Raises:
        SchemaVersionError: There is no such revision, the database is past it or at one that this
            release does not know (`require_current` tells whether it can work with that), or has
            tables of the same names that are not managed by it.
        PermissionDeniedError: The role lacks a right; the message names it.
        DeadlineError: Another process still migrated, or held a lock, when the patience ended.
        UnavailableError: The database cannot be reached, or is read-only.
        ConfigurationError: The connection is in a transaction.
    """
    aim = resolve(revision)
    waiting = Waiting(limits, progress)
    with _idle(target, schema, waiting) as connection:
        if not _pending(revision_at(connection), aim, phase):
            return []
        with turn(connection, waiting, handed_in=isinstance(target, Connection)) as mine:
            return _climb(mine, waiting, aim, phase)


def upgrade_connection(
    connection: Connection,
    revision: str = HEAD,
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> list[Revision]:
    """Upgrade over *connection* for a caller that holds the lock of the process: `exclusive`."""
    waiting = Waiting(limits, progress)
    with turn(connection, waiting, handed_in=True) as mine:
        return _climb(mine, waiting, resolve(revision), None, process=nullcontext())


def pending(
    target: Target,
    revision: str = HEAD,
    *,
    schema: str | None = None,
    phase: Phase | None = None,
) -> list[Revision]:
    """Return the revisions that `upgrade` would apply now; it changes nothing.

    Raises:
        SchemaVersionError: As of `upgrade`.
    """
    with looking(target, schema=schema) as connection:
        return missing_steps(connection, resolve(revision), phase)


def missing_steps(
    connection: Connection, aim: str | None, phase: Phase | None = None
) -> list[Revision]:
    """Return what an upgrade to *aim* would apply now.

    Raises:
        SchemaVersionError: As of `upgrade`.
    """
    with reading(connection):
        at = revision_at(connection)
        if at is None:
            require_unused(connection)
    return _pending(at, aim, phase)


def downgrade(
    target: Target,
    revision: str,
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> list[Revision]:
    """Take back the revisions above *revision* (``base`` for all), with their data, all or none.

    The schema and the extension citext stay: others may use them. `losses` tells beforehand what
    would be deleted.

    Returns:
        The revisions taken back, in that order.

    Raises:
        SchemaVersionError: There is no such revision, or the database is below it.
    """
    aim = resolve(revision)
    waiting = Waiting(limits, progress)
    with _turn(target, schema, waiting) as mine:
        steps = falling(revision_at(mine.work), aim)
        if steps:
            _patiently(mine, waiting, "downgrade", aim or BASE)
        return steps


def stamp(target: Target, revision: str, *, schema: str | None = None) -> None:
    """Record *revision* as the one of the database, without running anything.

    Raises:
        SchemaVersionError: There is no such revision.
    """
    aim = resolve(revision)
    waiting = Waiting(DEFAULT_LIMITS)
    with _turn(target, schema, waiting) as mine:
        _patiently(mine, waiting, "stamp", aim or BASE)


def change(
    target: Target,
    work: Callable[[Connection], T],
    *,
    schema: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> T:
    """Run *work* in one transaction while nobody migrates, again while others hold its locks.

    Raises:
        DeadlineError: Another process still migrated, or held a lock, when the patience ended.
    """
    waiting = Waiting(limits, progress)
    with _turn(target, schema, waiting) as mine:
        return _repeatedly(mine, waiting, lambda: work(mine.work), mine.transaction)


def falling(at: str | None, aim: str | None) -> list[Revision]:
    """Return the revisions to take back from *at* down to *aim*, newest first.

    Raises:
        SchemaVersionError: The database is below *aim*, or at a revision that is not known.
    """
    if at == aim:
        return []
    known = [step.revision for step in between(None, resolve(HEAD))]
    if at is not None and at not in known:
        raise SchemaVersionError(unknown(at).detail)
    if at is None or (aim is not None and known.index(at) < known.index(aim)):
        raise SchemaVersionError(f"the database is at {at or 'no revision'}, below {aim or BASE}")
    return between(aim, at)[::-1]


@contextmanager
def _idle(target: Target, schema: str | None, waiting: Waiting) -> Generator[Connection]:
    """Connect to *target*, in no transaction."""
    with ExitStack() as stack:
        while True:
            try:
                connection = stack.enter_context(connected(target, schema=schema))
            except TransientError:
                # Whoever switches a new file of SQLite to WAL keeps the others out at once.
                waiting.pause("another process is making this database")
            else:
                break
        if connection.in_transaction():
            raise ConfigurationError("migrate over a connection that is in no transaction")
        yield connection


@contextmanager
def _turn(target: Target, schema: str | None, waiting: Waiting) -> Generator[Turn]:
    with (
        _idle(target, schema, waiting) as connection,
        turn(connection, waiting, handed_in=isinstance(target, Connection)) as mine,
    ):
        yield mine


def _pending(at: str | None, aim: str | None, phase: Phase | None) -> list[Revision]:
    known = [None, *(step.revision for step in between(None, resolve(HEAD)))]
    if at is not None and at not in known:
        raise SchemaVersionError(unknown(at).detail)
    if known.index(at) > known.index(aim):
        raise SchemaVersionError(f"the database is at {at}, past {aim}: to go back is a downgrade")
    return _of_phase(between(at, aim), phase)


def _of_phase(steps: list[Revision], phase: Phase | None) -> list[Revision]:
    contracting = [number for number, step in enumerate(steps) if step.phase == "contract"]
    return steps[: contracting[0]] if phase == "expand" and contracting else steps


def _climb(
    mine: Turn,
    waiting: Waiting,
    aim: str | None,
    phase: Phase | None,
    process: AbstractContextManager[object] = PROCESS,
) -> list[Revision]:
    """Apply what is still pending now that nobody else can."""
    steps = missing_steps(mine.work, aim, phase)
    if steps:
        prepare(mine.work)
    for _, group in groupby(steps, key=lambda step: step.atomic or step.revision):
        last = list(group)[-1]
        _patiently(mine, waiting, "upgrade", last.revision, atomic=last.atomic, process=process)
    return steps


def _patiently(
    mine: Turn,
    waiting: Waiting,
    step: Literal["upgrade", "downgrade", "stamp"],
    revision: str,
    *,
    atomic: bool = True,
    process: AbstractContextManager[object] = PROCESS,
) -> None:
    """Run a step, and again while others hold the locks that it needs."""
    from agentdb.migrate import environment  # noqa: PLC0415 -- imports Alembic

    def run() -> None:
        with nullcontext() if step == "stamp" else policies_kept(mine.work), process:
            environment.run(step, mine.work, revision, waiting.progress)

    begin = mine.transaction if atomic else partial(mine.alone, waiting)
    _repeatedly(mine, waiting, run, begin)


def _repeatedly(
    mine: Turn,
    waiting: Waiting,
    work: Callable[[], T],
    begin: Callable[[], AbstractContextManager[object]],
) -> T:
    while True:
        try:
            with begin():
                return work()
        except (TransientError, DuplicateError) as error:
            if not (mine.repeats and _passes(error)):
                raise
            waiting.pause("another session holds the lock on a table")


def _passes(error: TransientError | DuplicateError) -> bool:
    """Whether another try may do it.

    A database has an extension once: whoever installs it at the same moment, for another schema or
    for tables of the host, makes the slower one fail in spite of IF NOT EXISTS.
    """
    return isinstance(error, TransientError) or error.constraint == "pg_extension_name_index"
