"""Looking at a database that is to be adopted."""

from __future__ import annotations

from sqlalchemy import Connection

from agentdb.adoption.facts import Survey
from agentdb.adoption.keys import bare_keys
from agentdb.adoption.offenders import offenders
from agentdb.adoption.reach import Reach
from agentdb.catalog import differences
from agentdb.migrate.connections import in_schema, reading, revision_at
from agentdb.search_path import mapped_schema


def survey(connection: Connection, *, schema: str | None = None) -> Survey:
    """Return how a database differs from one that the migrations built; nothing is changed.

    It reads in the transaction that the connection is in, else in one of its own that waits for
    nobody.

    Args:
        connection: To the database.
        schema: Schema of the tables, on PostgreSQL.

    Raises:
        ConfigurationError: *schema* is given for SQLite.
    """
    in_schema(connection, schema)
    with reading(connection):
        found = tuple(differences(connection))
        reach = Reach(connection, mapped_schema(connection), found)
        return Survey(
            dialect=connection.dialect.name,
            revision=revision_at(connection),
            differences=found,
            offenders=tuple(offenders(reach)),
            bare_keys=bare_keys(reach),
        )
