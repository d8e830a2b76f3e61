"""The revisions are one line that runs up and down on both databases."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from agentdb.engines import make_sync_engine
from agentdb.errors import SchemaVersionError
from agentdb.settings import Settings
from tests.contract import schema_facts as facts
from tests.databases import VERSIONS, alembic_config, downgrade, upgrade

FILES = sorted(VERSIONS.glob("*.py"))
REVISIONS = [file.name[:4] for file in FILES]


@pytest.fixture
def engine(agentdb_empty_url: str) -> Engine:
    """An empty database."""
    return make_sync_engine(agentdb_empty_url, Settings())


def schema_of(connection: Connection) -> object:
    """Return everything that the database knows of our schema."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(
            text(
                "SELECT type, name, sql FROM sqlite_master"
                " WHERE name <> 'sqlite_sequence' ORDER BY type, name"
            )
        )
        return [tuple(row) for row in rows]
    tables = sorted(inspect(connection).get_table_names())
    return (
        {name: facts.table_of_postgresql(connection, name) for name in tables},
        facts.enums_of_postgresql(connection),
    )


def test_there_is_one_line_of_revisions() -> None:
    """One base, one head, each revision the successor of the one before."""
    script = ScriptDirectory.from_config(alembic_config())
    line = [
        (revision.revision, revision.down_revision)
        for revision in reversed(list(script.walk_revisions()))
    ]
    assert script.get_heads() == [REVISIONS[-1]]
    assert line == list(zip(REVISIONS, [None, *REVISIONS], strict=False))


def test_files_are_numbered_without_gaps() -> None:
    """A file's name is its revision and its theme."""
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", file.name) for file in FILES)
    assert [f"{number:04}" for number in range(1, len(FILES) + 1)] == REVISIONS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_revision_is_frozen(file: Path) -> None:
    """It imports no model or value list, so that changing those does not change it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"alembic", "agentdb.types", "sqlalchemy.dialects"}


def test_up_down_and_up_again_gives_the_same_schema(engine: Engine) -> None:
    """A downgrade undoes its upgrade."""
    with engine.begin() as connection:
        upgrade(connection)
        first = schema_of(connection)
        downgrade(connection)
        upgrade(connection)
        assert schema_of(connection) == first


def test_each_revision_can_be_undone_alone(engine: Engine) -> None:
    """Going down one revision leaves exactly what was there before it."""
    with engine.begin() as connection:
        upgrade(connection, REVISIONS[0])
        for before, revision in pairwise(REVISIONS):
            schema = schema_of(connection)
            upgrade(connection, revision)
            downgrade(connection, before)
            assert schema_of(connection) == schema
            upgrade(connection, revision)


def test_downgrading_to_the_base_leaves_nothing(engine: Engine) -> None:
    """No table and no type of ours stays; Alembic keeps its own empty table."""
    with engine.begin() as connection:
        upgrade(connection)
        downgrade(connection)
        assert inspect(connection).get_table_names() == ["agentdb_version"]
        if connection.dialect.name == "postgresql":
            assert facts.enums_of_postgresql(connection) == {}


def test_the_revisions_and_the_models_agree(engine: Engine) -> None:
    """Alembic would generate nothing."""
    with engine.begin() as connection:
        upgrade(connection)
        command.check(alembic_config(connection))


def test_tables_of_the_host_are_left_alone(engine: Engine) -> None:
    """What the host keeps beside ours is no difference."""
    with engine.begin() as connection:
        upgrade(connection)
        connection.exec_driver_sql("CREATE TABLE host (id integer PRIMARY KEY, name text)")
        connection.exec_driver_sql("CREATE INDEX host_by_name ON host (name)")
        command.check(alembic_config(connection))


def test_a_failed_revision_leaves_the_database_as_it_was(engine: Engine) -> None:
    """All revisions of a run are one transaction, on SQLite too."""
    with engine.begin() as connection:
        upgrade(connection, REVISIONS[0])
        before = schema_of(connection)
        connection.exec_driver_sql("CREATE TABLE containers (id integer)")
    with pytest.raises(SchemaVersionError), engine.begin() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE containers")
        assert schema_of(connection) == before


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_statements_can_be_written_instead_of_run(
    dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Offline mode needs no database, for people who may not run DDL from a program."""
    config = alembic_config()
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    written = capsys.readouterr().out
    assert written.count("CREATE TABLE") == 47
    assert ("text_tsv" in written) == (dialect == "postgresql")
