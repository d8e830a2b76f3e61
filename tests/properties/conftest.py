"""A scratch database on each backend at once, to compare what they do."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, text

from agentdb.engines import make_sync_engine
from agentdb.settings import Settings
from agentdb.testing import Template, Templates
from tests.properties.scratch import PATHS, Base, Outcome, outcome


@dataclass
class Both:
    """A connection to each database."""

    sqlite: Connection
    postgres: Connection

    @property
    def sides(self) -> tuple[Connection, Connection]:
        """SQLite, then PostgreSQL."""
        return self.sqlite, self.postgres

    def outcomes(self, column: str, value: Any) -> dict[str, Outcome]:
        """Return what becomes of a value on each database, by each way."""
        return {
            f"{side.dialect.name}, {path}": outcome(side, column, value, path)
            for side in self.sides
            for path in PATHS
        }

    def outcome(self, column: str, value: Any) -> Outcome:
        """Return what becomes of a value, the same everywhere."""
        outcomes = self.outcomes(column, value)
        first = next(iter(outcomes.values()))
        assert dict.fromkeys(outcomes, first) == outcomes
        return first


@pytest.fixture(scope="package")
def both(agentdb_templates: Templates) -> Iterator[Both]:
    """Scratch databases of both kinds."""
    if set(agentdb_templates.backends) != {"sqlite", "postgres"}:
        pytest.skip("compares both backends")
    with ExitStack() as stack:
        sqlite = _scratch(agentdb_templates["sqlite"], stack)
        postgres = _scratch(agentdb_templates["postgres"], stack)
        yield Both(sqlite, postgres)


def _scratch(template: Template, stack: ExitStack) -> Connection:
    url = template.empty()
    stack.callback(template.drop, url)
    connection = stack.enter_context(make_sync_engine(url, Settings()).connect())
    if connection.dialect.name == "postgresql":
        connection.execute(text("CREATE EXTENSION citext"))
    Base.metadata.create_all(connection)
    connection.commit()
    return connection
