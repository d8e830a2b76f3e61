"""SQLite changes a column by building its table anew: rows, children, schema and numbers stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from agentdb import migrate
from agentdb.engines import make_sync_engine
from agentdb.errors import DuplicateError, SchemaVersionError
from agentdb.settings import Settings
from agentdb.testing.samples import sample_rows, store
from agentdb.testing.snapshots import snapshot
from tests.migrate.later import LaterRelease
from tests.migrations.dumps import dump_on

PARENT = "users"
NUMBERED = "agent_run_events"
EMPTIED = "agent_run_usage"
IMPORT = "from agentdb.models import Base"
REBUILD = f"""for name in ("{PARENT}", "{NUMBERED}", "{EMPTIED}"):
        whole = Base.metadata.tables[name]
        with op.batch_alter_table(name, copy_from=whole, recreate="always"):
            pass"""
ORPHAN = f"""{REBUILD}
    op.execute("DELETE FROM {PARENT}")"""
MANY = 5
NEW = "9001"

pytestmark = pytest.mark.agentdb_only("sqlite")


@pytest.fixture
def engine(agentdb_url: str) -> Engine:
    """A database with rows in all 46 tables, some of whose last rows were deleted."""
    engine = make_sync_engine(agentdb_url, Settings())
    with Session(engine) as session:
        for number in range(MANY):
            store(session, sample_rows(f"tenant-{number}").values())
        session.commit()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM {NUMBERED} WHERE id > 3")
        connection.exec_driver_sql(f"DELETE FROM {EMPTIED}")
    return engine


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaterRelease:
    """The release that this process is, to which a test adds a revision."""
    release = LaterRelease(tmp_path)
    release.install(monkeypatch)
    return release


def parts_of(ddl: str) -> list[str]:
    """Return the lines of a definition, whose constraints stand in no order."""
    return sorted(line.strip("\t ,") for line in ddl.replace('"', "").splitlines())


def content(engine: Engine) -> dict[str, object]:
    """Return the schema, all rows, and the number of the last row of each table that counts."""
    with engine.connect() as connection:
        schema = [[*line[:3], *parts_of(line[3])] for line in dump_on(connection)]
        numbers = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence ORDER BY name")
        return {
            "schema": schema,
            "rows": snapshot(connection),
            "numbers": {row.name: row.seq for row in numbers},
        }


def test_a_rebuilt_parent_keeps_its_children_and_a_numbered_table_its_numbers(
    agentdb_url: str, engine: Engine, later: LaterRelease
) -> None:
    """Nothing differs but the revision, and no number of a deleted row is given out again."""
    later.add(NEW, REBUILD, imports=IMPORT)
    before = content(engine)

    assert [step.revision for step in migrate.upgrade(agentdb_url)] == [NEW]

    after = content(engine)
    assert after["schema"] == before["schema"]
    assert after["rows"] == before["rows"]
    assert after["numbers"] == before["numbers"]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_a_rebuilt_column_still_compares_without_case(
    agentdb_url: str, engine: Engine, later: LaterRelease
) -> None:
    """The collation is part of the column."""
    later.add(NEW, REBUILD, imports=IMPORT)
    migrate.upgrade(agentdb_url)

    with pytest.raises(DuplicateError), engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE {PARENT} SET email = (SELECT upper(email) FROM {PARENT} ORDER BY id LIMIT 1)"
            f" WHERE id = (SELECT max(id) FROM {PARENT})"
        )


def test_a_revision_that_would_orphan_rows_is_rolled_back(
    agentdb_url: str, engine: Engine, later: LaterRelease
) -> None:
    """Foreign keys are off while tables are rebuilt, so they are checked before COMMIT."""
    later.add(NEW, ORPHAN, imports=IMPORT)
    before = content(engine)

    with pytest.raises(SchemaVersionError, match="nowhere"):
        migrate.upgrade(agentdb_url)

    assert content(engine) == before
