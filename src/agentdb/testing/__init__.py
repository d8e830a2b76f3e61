"""What the fixtures of :mod:`agentdb.pytest_plugin` are made of, for tests that need it by hand.

Databases for tests are copies of one that the migrations built, on SQLite and on a real PostgreSQL.
"""

from agentdb.testing.concurrency import run_concurrently
from agentdb.testing.isolation import Isolation, OwnDatabase, finish
from agentdb.testing.joined import JoinedConnection, OverlapError
from agentdb.testing.servers import EmbeddedPostgres, postgres_url
from agentdb.testing.templates import PostgresTemplate, SqliteTemplate, Template, Templates

__all__ = [
    "EmbeddedPostgres",
    "Isolation",
    "JoinedConnection",
    "OverlapError",
    "OwnDatabase",
    "PostgresTemplate",
    "SqliteTemplate",
    "Template",
    "Templates",
    "finish",
    "postgres_url",
    "run_concurrently",
]
