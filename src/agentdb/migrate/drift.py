"""How a database differs from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb.errors import SchemaVersionError
from agentdb.migrate.connections import Target, looking
from agentdb.migrate.verdicts import verdict_on

if TYPE_CHECKING:
    from agentdb.catalog import Difference


def check(target: Target, *, schema: str | None = None) -> list[Difference]:
    """Return how the tables of the database differ from the models; empty where they do not.

    The catalogs are read: types, defaults, constraints, indexes with their predicates, generated
    expressions, and the labels of enumerations in their order. Tables of the host are not looked
    at; what needs no action, as a further index of the host's on one of ours, is `informational`.

    Raises:
        SchemaVersionError: The database is not at the newest revision.
        UnavailableError: It cannot be reached.
    """
    from agentdb.catalog import differences  # noqa: PLC0415 -- maps all tables

    with looking(target, schema=schema) as connection:
        found = verdict_on(connection)
        if found.revision != found.head:
            raise SchemaVersionError(found.detail)
        return differences(connection, schema=schema)
