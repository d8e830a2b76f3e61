"""Templates that the next session of tests finds ready."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql
from typing_extensions import override

from agentdb import migrate
from agentdb.testing.reuse import fingerprint, kept_folder
from agentdb.testing.servers import EmbeddedPostgres
from agentdb.testing.templates import PostgresTemplate, SqliteTemplate, sqlite_url

# Sessions that start at once make one template.
_LOCK = "SELECT pg_advisory_xact_lock(6955390411)"
_OF_A_PROCESS = re.compile(r"agentdb_(\d+)_[0-9a-f]+_\d+")


class KeptSqliteTemplate(SqliteTemplate):
    """A file that outlives the session, named by the digest of the migrations."""

    @cached_property
    @override
    def _file(self) -> Path:
        folder = kept_folder("sqlite")
        file = folder / f"{fingerprint()}.sqlite3"
        if not file.exists():
            # Sessions that make it at once make the same; it has its name when it is complete.
            with TemporaryDirectory(dir=folder) as scratch:
                made = Path(scratch) / file.name
                migrate.upgrade(sqlite_url(made))
                made.replace(file)
        return file


class KeptPostgresTemplate(PostgresTemplate):
    """A template database that outlives the session, named by the digest of the migrations."""

    @cached_property
    @override
    def _template(self) -> str:
        name = f"agentdb_template_{fingerprint()}"
        with psycopg.connect(self._conninfo) as lock:
            lock.execute(_LOCK)
            if name not in self._databases():
                made = self._build()
                command = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                self._admin.execute(command.format(sql.Identifier(made), sql.Identifier(name)))
                self._left.discard(made)
        self._sweep()
        return name

    def _sweep(self) -> None:
        """Drop what sessions on this machine left behind that were killed."""
        if not isinstance(self._server, EmbeddedPostgres):
            return
        for name in self._databases():
            owner = _OF_A_PROCESS.fullmatch(name)
            if owner and not _lives(int(owner[1])):
                self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _databases(self) -> list[str]:
        return [name for (name,) in self._admin.execute("SELECT datname FROM pg_database")]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
