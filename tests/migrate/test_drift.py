"""A database is compared with the models."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from agentdb import migrate
from agentdb.engines import make_sync_engine
from agentdb.errors import SchemaVersionError
from agentdb.settings import Settings


def test_check_tells_a_changed_table(agentdb_url: str) -> None:
    """A dropped column is a difference."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        connection.execute(text("ALTER TABLE user_profiles DROP COLUMN locale"))

    found = [(difference.table, difference.item) for difference in migrate.check(agentdb_url)]
    assert found == [("user_profiles", "locale")]


def test_check_refuses_a_database_that_is_behind(agentdb_empty_url: str) -> None:
    """Without a version, or at an older one, the check says to upgrade."""
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        migrate.check(agentdb_empty_url)
    migrate.upgrade(agentdb_empty_url, migrate.history()[0].revision)
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        migrate.check(agentdb_empty_url)


def test_tables_of_a_host_are_not_compared(agentdb_url: str) -> None:
    """The check looks at our tables alone."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        connection.execute(text("CREATE TABLE host_things (id INTEGER PRIMARY KEY)"))

    assert migrate.check(agentdb_url) == []
