"""A migration can be written as a script."""

from __future__ import annotations

import pytest

from agentdb import migrate


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_the_upgrade_can_be_written_as_sql(dialect: str) -> None:
    """The script holds every table, and the search column where the database has it."""
    script = migrate.sql(dialect)

    assert script.count("CREATE TABLE") == 46 + 1
    assert ("tsvector" in script.lower()) is (dialect == "postgresql")
