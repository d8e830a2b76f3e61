"""What a database is to this release: at start-up, before an upgrade, for a person who asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from agentdb.errors import SchemaVersionError, TransientError, UnavailableError
from agentdb.migrate.connections import Target, looking, revision_at
from agentdb.migrate.limits import Limits, Progress
from agentdb.migrate.locks import Waiting
from agentdb.migrate.revisions import Revision, between, heads, history
from agentdb.migrate.tables import missing_tables, tables_of_our_names

# A number, and from the first contracting revision on the oldest head that still works with it.
_NUMBER = re.compile(r"(\d{4})(?:_(\d{4}))?")


class State(StrEnum):
    """What a database is to this release."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"
    FOREIGN = "foreign"
    UNMANAGED = "unmanaged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a database is to this release.

    Attributes:
        state: ``behind`` has revisions to apply, an empty database all of them; ``ahead`` was
            upgraded by a newer release; ``unmanaged`` has our tables without a revision;
            ``foreign`` has tables of our names that are not ours, or a revision that is not.
        revision: That of the database; None without one.
        head: The newest revision of this release.
        pending: What an upgrade would apply, oldest first.
        safe: Whether this release can work with the database as it is.
        detail: One sentence for people.
    """

    state: State
    revision: str | None
    head: str
    pending: tuple[Revision, ...]
    safe: bool
    detail: str


def current(target: Target, *, schema: str | None = None) -> str | None:
    """Return the revision that the database is at; None for one that has none.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    with looking(target, schema=schema) as connection:
        return revision_at(connection)


def verdict(target: Target, *, schema: str | None = None) -> Verdict:
    """Tell what the database is to this release; nothing is changed.

    Raises:
        UnavailableError: It cannot be reached.
        ConfigurationError: *schema* is given for SQLite.
    """
    with looking(target, schema=schema) as connection:
        return verdict_on(connection)


def require_current(target: Target, *, schema: str | None = None) -> Verdict:
    """Refuse a database that this release cannot work with; for the start of a service.

    Raises:
        SchemaVersionError: It is behind, foreign, unmanaged, or ahead by a revision that takes away
            what this release uses.
        UnavailableError: It cannot be reached.
    """
    found = verdict(target, schema=schema)
    if not found.safe:
        raise SchemaVersionError(found.detail)
    return found


def wait(
    target: Target,
    *,
    schema: str | None = None,
    timeout: float = 60.0,
    progress: Progress | None = None,
) -> Verdict:
    """Wait until the database can be reached and this release can work with it.

    Args:
        target: The database; it may be down, or not be there yet.
        schema: Schema of the tables, on PostgreSQL.
        timeout: Seconds.
        progress: Is told what is waited for.

    Raises:
        DeadlineError: It was not so in time; the message tells why.
    """
    waiting = Waiting(Limits(wait=timeout), progress)
    while True:
        try:
            return require_current(target, schema=schema)
        except (SchemaVersionError, UnavailableError, TransientError) as error:
            waiting.pause(str(error))


def verdict_on(connection: Connection) -> Verdict:
    """Tell what the database of a live connection is to this release."""
    at = revision_at(connection)
    if at is None:
        return _without_revision(connection)
    if at in {step.revision for step in history()}:
        return _known(connection, at)
    return unknown(at)


def _is_newer(revision: str) -> bool:
    """Whether a revision that this release does not have can only be of a newer one."""
    number = _NUMBER.fullmatch(revision)
    return number is not None and number[1] > heads()[0][:4]


def _works_with(revision: str) -> bool:
    """Whether this release can work with the schema of a newer one.

    The number of a revision says which head is the oldest that can.
    """
    number = _NUMBER.fullmatch(revision)
    return number is not None and (number[2] or "") <= heads()[0][:4]


def require_unused(connection: Connection) -> None:
    """Refuse a database without a revision that has tables of our names.

    Raises:
        SchemaVersionError: It has.
    """
    found = _without_revision(connection)
    if found.state is not State.BEHIND:
        raise SchemaVersionError(found.detail)


def _verdict(
    state: State,
    at: str | None,
    detail: str,
    *,
    pending: list[Revision] | None = None,
    safe: bool = False,
) -> Verdict:
    return Verdict(state, at, heads()[0], tuple(pending or ()), safe, detail)


def _without_revision(connection: Connection) -> Verdict:
    foreign, ours = tables_of_our_names(connection)
    if foreign:
        detail = f"the database has tables of our names that are not ours: {', '.join(foreign)}"
        return _verdict(State.FOREIGN, None, detail)
    if ours:
        detail = "the database has these tables, but no revision: see `agentdb adopt`"
        return _verdict(State.UNMANAGED, None, detail)
    detail = "the database has no revision: run `agentdb upgrade`"
    return _verdict(State.BEHIND, None, detail, pending=history())


def _known(connection: Connection, at: str) -> Verdict:
    steps = between(at, heads()[0])
    if steps:
        names = ", ".join(step.revision for step in steps)
        detail = f"the database is at {at} and lacks {names}: run `agentdb upgrade`"
        return _verdict(State.BEHIND, at, detail, pending=steps)
    if missing := missing_tables(connection):
        detail = f"the database is marked as {at}, but has no table {', '.join(missing)}"
        return _verdict(State.FOREIGN, at, detail)
    return _verdict(State.CURRENT, at, f"the database is at {at}, as this release", safe=True)


def unknown(at: str) -> Verdict:
    """Judge a revision that this release does not have."""
    if not _is_newer(at):
        detail = f"the database is at {at[:64]!r}, which is no revision of agentdb"
        return _verdict(State.FOREIGN, at, detail)
    if _works_with(at):
        detail = f"the database is at {at}, of a newer release; this one works with it"
        return _verdict(State.AHEAD, at, detail, safe=True)
    detail = f"the database is at {at}, of a newer release that took away what this one uses"
    return _verdict(State.AHEAD, at, detail)
