"""Databases built by the migrations once, and copied for each test."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from agentdb import migrate
from agentdb.testing.folders import ScratchFolder
from agentdb.testing.isolation import Isolation, OwnDatabase
from agentdb.testing.joined import JoinedConnection, JoinedPostgres, JoinedSqlite
from agentdb.testing.servers import Server
from agentdb.urls import sync_url

# The locale that compares by code point and knows Unicode's letters, everywhere alike; before
# PostgreSQL 17 the nearest is C.
_BUILTIN = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
_VERSION_17 = 170000
_BEFORE_17 = "ENCODING 'UTF8' LOCALE 'C'"


class Template(ABC):
    """A migrated database to copy from."""

    @abstractmethod
    def clone(self) -> str:
        """Return the URL of a new copy."""

    @abstractmethod
    def empty(self) -> str:
        """Return the URL of a new database without tables."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Delete a database that `clone` or `empty` made, whoever is connected."""

    @abstractmethod
    def join(self, *, fresh: bool = False) -> JoinedConnection:
        """Return a connection that several engines share and whose work is never committed.

        Args:
            fresh: Whether to connect to a copy where nobody has worked before, not even somebody
                who rolled it back.
        """

    def isolate(self, *, commits: bool, fresh: bool = False) -> Isolation:
        """Return the database of one test.

        Args:
            commits: Whether the test needs transactions that commit, on connections of their own.
            fresh: As with `join`; a test that commits has a fresh copy in any case.
        """
        if commits:
            return OwnDatabase(self.clone(), on_close=self.drop)
        return self.join(fresh=fresh)

    @abstractmethod
    def close(self) -> None:
        """Delete everything that is left."""


class SqliteTemplate(Template):
    """A file, copied byte by byte."""

    def __init__(self) -> None:
        self._scratch = ScratchFolder()
        self._folder = self._scratch.path
        self._numbers = count(1)

    @cached_property
    def _file(self) -> Path:
        file = self._folder / "template.sqlite3"
        # The last connection to close moves the write-ahead log into the file.
        migrate.upgrade(sqlite_url(file))
        return file

    def clone(self) -> str:
        """Return the URL of a copy of the file."""
        return sqlite_url(Path(shutil.copyfile(self._file, self._new())))

    def empty(self) -> str:
        """Return the URL of a file that does not exist yet."""
        return sqlite_url(self._new())

    def drop(self, url: str) -> None:
        """Delete the file and its log."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{make_url(url).database}{suffix}").unlink(missing_ok=True)

    def join(self, *, fresh: bool = False) -> JoinedConnection:  # noqa: ARG002 -- it always is
        """Join a copy: a file is cheaper than a rollback that has to be trusted."""
        url = self.clone()
        return JoinedSqlite(url, on_close=lambda: self.drop(url))

    def close(self) -> None:
        """Delete the folder."""
        self._scratch.delete()

    def _new(self) -> Path:
        return self._folder / f"{next(self._numbers)}.sqlite3"


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{file}"


class PostgresTemplate(Template):
    """A template database, and a copy that the tests share which never commit."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # Several sessions may use one server, as the workers of pytest-xdist do.
        self._prefix = f"agentdb_{os.getpid()}_{uuid4().hex[:8]}"
        self._numbers = count(1)
        self._left: set[str] = set()

    @cached_property
    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self._conninfo, autocommit=True)

    @property
    def _conninfo(self) -> str:
        url = sync_url(self._server.url).set(drivername="postgresql")
        return url.render_as_string(hide_password=False)

    @cached_property
    def _template(self) -> str:
        return self._build()

    def _build(self) -> str:
        url = self.empty()
        migrate.upgrade(url)
        name = str(make_url(url).database)
        # Nobody can connect any more: a copy fails while somebody is connected.
        self._run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", name)
        return name

    @cached_property
    def _shared(self) -> str:
        return self.clone()

    def clone(self) -> str:
        """Return the URL of a database made from the template, in about 15 ms."""
        template = sql.Identifier(self._template)
        return self._create(sql.SQL("TEMPLATE {} STRATEGY FILE_COPY").format(template))

    def empty(self) -> str:
        """Return the URL of a database made from template0, in the same locale."""
        modern = self._admin.info.server_version >= _VERSION_17
        return self._create(sql.SQL(f"TEMPLATE template0 {_BUILTIN if modern else _BEFORE_17}"))

    def drop(self, url: str) -> None:
        """Delete the database; connections to it are broken off."""
        name = str(make_url(url).database)
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._left.discard(name)

    def join(self, *, fresh: bool = False) -> JoinedConnection:
        """Join the shared copy, or one of the test's own; the transaction is rolled back."""
        if not fresh:
            return JoinedPostgres(self._shared)
        url = self.clone()
        return JoinedPostgres(url, on_close=lambda: self.drop(url))

    def close(self) -> None:
        """Drop what is left; the server belongs to the caller."""
        for name in sorted(self._left):
            self.drop(self._url(name))
        self._admin.close()

    def _create(self, how: sql.Composable) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), how))
        self._left.add(name)
        return self._url(name)

    def _run(self, command: LiteralString, name: str) -> None:
        self._admin.execute(sql.SQL(command).format(sql.Identifier(name)))

    def _url(self, name: str) -> str:
        server: URL = make_url(self._server.url)
        return server.set(database=name).render_as_string(hide_password=False)
