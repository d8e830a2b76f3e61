"""Files that are busy, damaged, full or no database at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from agentdb import Database
from agentdb.driver_errors import may_pass
from agentdb.errors import (
    CorruptDatabaseError,
    SchemaVersionError,
    TransientError,
    UnavailableError,
)
from agentdb.settings import Settings
from tests.driver_errors.refusals import CANARY, plan, shown


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_a_busy_file_is_transient(agentdb_url: str) -> None:
    """A writer that has waited long enough is told to run again; readers do not wait."""
    impatient = Database(agentdb_url, settings=Settings(busy_timeout=0.05))
    async with impatient as database:  # noqa: SIM117 -- the inner unit is what the other meets
        async with database.begin_system(reason="test"):
            with pytest.raises(TransientError):
                async with database.begin_system(reason="test"):
                    pass
            async with database.read(reason="test") as reader:
                assert await reader.billing_plans.count() == 0
            assert (await database.health()).reachable


async def test_a_database_without_tables_is_behind(agentdb_empty_url: str) -> None:
    """The error says what to do."""
    async with Database(agentdb_empty_url) as database:
        with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
            async with database.begin_system(reason="test") as unit:
                await unit.billing_plans.all()
        assert (await database.health()).revision is None


def damaged(file: Path) -> None:
    """Overwrite the pages of a database behind its header."""
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_a_damaged_file_is_corrupt(agentdb_url: str) -> None:
    """A file whose pages make no sense is a CorruptDatabaseError."""
    damaged(Path(agentdb_url.removeprefix("sqlite:///")))
    async with Database(agentdb_url) as database:
        with pytest.raises(CorruptDatabaseError):
            async with database.begin_system(reason="test") as unit:
                await unit.billing_plans.all()


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    """Any other file is a CorruptDatabaseError, and is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text(CANARY * 1000)
    async with Database(f"sqlite:///{file}") as database:
        with pytest.raises(CorruptDatabaseError, match="not a SQLite database") as caught:
            async with database.begin_system(reason="test"):
                pass
        with pytest.raises(CorruptDatabaseError):
            await database.upgrade()

    assert CANARY not in shown(caught.value)
    assert file.read_text() == CANARY * 1000


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    """A folder that is missing, or a path that is a folder."""
    for url in (f"sqlite:///{tmp_path}/no/such.db", f"sqlite:///{tmp_path}"):
        async with Database(url) as database:
            with pytest.raises(UnavailableError, match="cannot be opened"):
                async with database.begin_system(reason="test"):
                    pass
            assert not (await database.health()).reachable


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_errors_of_sqlite_are_known_by_their_code(agentdb_url: str) -> None:
    """A full disk and an interrupted statement have errors of their own."""
    async with Database(agentdb_url) as database:
        with pytest.raises(UnavailableError, match="disk is full") as caught:
            async with database.begin_system(reason="test") as unit:
                await unit.session.execute(text("PRAGMA max_page_count = 1"))
                await unit.billing_plans.add_many([plan(like=f"p{n}") for n in range(2_000)])
        assert not may_pass(caught.value)
