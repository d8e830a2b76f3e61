"""A database of SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from agentdb.doctor.report import Finding, Status
from agentdb.errors import ConfigurationError
from agentdb.migrate.connections import Target
from agentdb.urls import is_memory, sync_url

_PRAGMAS = ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
_OLDEST = (3, 35)
"""The first to answer INSERT and UPDATE with RETURNING: https://www.sqlite.org/lang_returning.html."""
_SHOWN = 5


def is_absent(target: Target) -> bool:
    """Whether the file of a database is not there; connecting would make it."""
    if isinstance(target, Connection):
        return False
    try:
        url = sync_url(target)
    except ConfigurationError:
        return False  # told when it is connected to
    path = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and not is_memory(url)
    return is_file and not path.startswith("file:") and not Path(path).exists()


def server(connection: Connection) -> Iterator[Finding]:
    """Yield the version of the library and the settings of a connection."""
    library = sqlite3.sqlite_version_info
    status = Status.OK if library >= _OLDEST else Status.PROBLEM
    advice = None if status is Status.OK else "agentdb needs SQLite 3.35"
    yield Finding("sqlite", status, sqlite3.sqlite_version, advice)
    found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PRAGMAS}
    mode, enforced = str(found["journal_mode"]), bool(found["foreign_keys"])
    waits = mode not in {"wal", "memory"}
    yield Finding(
        "journal_mode",
        Status.WARNING if waits else Status.OK,
        mode,
        "readers and the writer wait for each other unless it is WAL" if waits else None,
    )
    yield Finding(
        "foreign_keys",
        Status.OK if enforced else Status.PROBLEM,
        "on" if enforced else "off",
        None if enforced else "references may lead nowhere: pass the engine to agentdb.configure",
    )
    yield Finding("busy_timeout", Status.OK, f"{found['busy_timeout']} ms")
    synchronous = int(found["synchronous"])
    unsafe = synchronous == 0
    yield Finding(
        "synchronous",
        Status.WARNING if unsafe else Status.OK,
        _SYNCHRONOUS.get(synchronous, str(synchronous)),
        "a loss of power can damage the file" if unsafe else None,
    )


def integrity(connection: Connection) -> Iterator[Finding]:
    """Yield whether the file is whole: the quick check reads all of it, but for the indexes."""
    answers = connection.exec_driver_sql(f"PRAGMA quick_check({_SHOWN})").scalars().all()
    if answers == ["ok"]:
        yield Finding("integrity", Status.OK, "ok")
        return
    advice = "restore a backup, or save what `.recover` of the sqlite3 shell finds"
    yield Finding("integrity", Status.PROBLEM, "; ".join(map(str, answers)), advice)
