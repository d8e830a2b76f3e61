"""Servers and templates that one session of tests leaves for the next."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from agentdb import migrate
from agentdb.errors import ConfigurationError
from agentdb.testing import EmbeddedPostgres, Templates, reuse
from agentdb.testing.folders import ScratchFolder
from agentdb.testing.kept import KeptPostgresTemplate
from agentdb.testing.servers import NamedServer, Server

Kept: TypeAlias = Callable[..., KeptPostgresTemplate]


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own in which sessions leave things; its path is short enough for sockets."""
    folder = ScratchFolder()
    folder.path.chmod(0o755)
    monkeypatch.setattr(reuse, "scratch_parent", lambda: folder.path)
    yield folder.path
    folder.delete()


@pytest.fixture
def server(parent: Path) -> Iterator[EmbeddedPostgres]:
    """A server that is kept, held by this test."""
    assert not list(parent.iterdir())
    server = EmbeddedPostgres(keep=True)
    yield server
    server.stop()


@pytest.fixture
def kept(server: EmbeddedPostgres) -> Iterator[Kept]:
    """Makes the template of a session, on the kept server unless told otherwise."""
    with ExitStack() as stack:

        def make(on: Server = server) -> KeptPostgresTemplate:
            return stack.enter_context(closing(KeptPostgresTemplate(on)))

        yield make


def databases(url: str) -> dict[str, int]:
    """Return the databases of a server and their object ids."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT datname, oid FROM pg_database").fetchall())


def test_the_next_session_finds_the_file(parent: Path) -> None:
    """The template of SQLite is made once and copied from by both."""
    made: list[tuple[str, int]] = []
    for _ in range(2):
        templates = Templates(("sqlite",), reuse=True)
        assert [migrate.current(templates["sqlite"].clone())] == migrate.heads()
        templates.close()
        (file,) = parent.rglob(f"{reuse.fingerprint()}.sqlite3")
        made.append((file.name, file.stat().st_mtime_ns))

    assert made[0] == made[1]


def test_the_next_session_finds_the_template(server: EmbeddedPostgres) -> None:
    """The template of PostgreSQL is made once, and the copies of a session go with it."""
    seen: list[dict[str, int]] = []
    for _ in range(2):
        template = KeptPostgresTemplate(server)
        assert [migrate.current(template.clone())] == migrate.heads()
        template.close()
        seen.append(databases(server.url))

    assert seen[0] == seen[1]
    assert f"agentdb_template_{reuse.fingerprint()}" in seen[0]


@pytest.mark.usefixtures("parent")
def test_a_server_that_was_stopped_starts_with_its_data() -> None:
    """The last session stops the server, and the next one finds the template on it."""
    seen: list[dict[str, int]] = []
    for _ in range(2):
        templates = Templates(("postgres",), reuse=True)
        templates["postgres"].clone()
        templates["postgres"].close()
        seen.append(databases(templates.server.url))
        templates.server.stop()

    assert seen[0] == seen[1]


def test_other_migrations_have_another_template(
    server: EmbeddedPostgres, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template of other migrations is never taken for the right one."""
    kept().clone()
    monkeypatch.setattr("agentdb.testing.kept.fingerprint", lambda: "other")
    kept().clone()

    assert {"agentdb_template_other", f"agentdb_template_{reuse.fingerprint()}"} < set(
        databases(server.url)
    )


def test_the_digest_follows_the_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed byte of a revision gives another digest."""
    monkeypatch.setattr(reuse, "script_location", lambda: tmp_path)
    digests: set[str] = set()
    for text in ("revision = '0001'", "revision = '0002'"):
        (tmp_path / "0001_first.py").write_text(text, encoding="utf-8")
        reuse.fingerprint.cache_clear()
        digests.add(reuse.fingerprint())
    reuse.fingerprint.cache_clear()

    assert len(digests) == 2


def test_sessions_that_start_at_once_make_one_template(kept: Kept) -> None:
    """Four workers find or make the same template, and none fails."""
    with ThreadPoolExecutor(4) as workers:
        copies = [work.result() for work in [workers.submit(kept().clone) for _ in range(4)]]

    assert len(set(copies)) == 4
    assert all([migrate.current(copy)] == migrate.heads() for copy in copies)


def test_what_a_killed_session_left_is_dropped(server: EmbeddedPostgres, kept: Kept) -> None:
    """A copy whose process is gone goes; those of live processes and of others stay."""
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    left, foreign = f"agentdb_{finished.pid}_0123abcd_1", "agentdb_somebody_else"
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name in (left, foreign):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    mine = kept().clone()

    found = databases(server.url)
    assert left not in found
    assert {foreign, make_url(mine).database} <= set(found)


def test_databases_on_a_server_of_others_are_left_alone(
    server: EmbeddedPostgres, kept: Kept
) -> None:
    """Process ids of another machine say nothing here, so nothing is dropped there."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute('CREATE DATABASE "agentdb_999999999_0123abcd_1"')
    kept(NamedServer(server.url)).clone()

    assert "agentdb_999999999_0123abcd_1" in databases(server.url)


@pytest.mark.usefixtures("parent")
def test_a_folder_that_others_can_write_to_is_refused() -> None:
    """Nobody else can put a database or a server in our way."""
    reuse.kept_folder("sqlite").parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="ours alone"):
        reuse.kept_folder("sqlite")
