"""Runs a function as two tenants over data of both, and fails on whatever passes between them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

from agentdb.database import Database
from agentdb.errors import ConfigurationError
from agentdb.testing.cases import Call, Prepare
from agentdb.testing.joined import is_joined
from agentdb.testing.trials import Setting, Trial, undone
from agentdb.testing.two_tenants import PARTIES


async def assert_tenant_isolated(
    call: Call,
    *,
    database: Database,
    prepare: Prepare | None = None,
    tables: Sequence[Table] = (),
) -> None:
    """Fail if a function shows one tenant anything of another, or changes anything of another.

    It is run as each of two tenants who have a row in each of the 46 tables, a member in common and
    rows of nobody beside them::

        await assert_tenant_isolated(
            lambda case: transcript_page(case.unit, case.row(AgentConversation).id),
            database=agentdb_database,
        )

    - Told of its own rows, it does what it would if the other tenant were not there: same result,
      same error, same rows written. So counts, orders and existence are compared too.
    - No key, label or text of the other tenant stands in a result, an error or a written row.
      Results are searched in depth: models as far as they are loaded, dataclasses, pydantic models,
      objects, mappings, lists, streams, causes and notes of errors.
    - Told of rows of the other tenant, it answers and writes as it does when told of rows that
      nobody has, with the same words.
    - No row of the other tenant is changed or deleted, and no row comes to refer to one.

    Everything is undone, what the function commits included. New UUIDs and instants of the clock
    may differ from call to call; everything else in the result must be repeatable.

    Args:
        call: Calls the function with what it takes from the `TenantCase`.
        database: ``agentdb_database`` of a test without the marker ``agentdb_commits``.
        prepare: Stores further rows of each tenant, those of a host's own tables for one.
        tables: Tables of the host to watch as well.

    Raises:
        AssertionError: Something passes between the tenants; the message lists all of it.
        ConfigurationError: The database commits, or the result differs from call to call.
        Exception: What the function raises when it is told of its own rows.
    """
    if not is_joined(database.engine.sync_engine):
        raise ConfigurationError("every call is undone: leave the marker agentdb_commits out")
    setting = Setting(call, database, prepare, tables)
    found: list[str] = []
    for own, other in (PARTIES, PARTIES[::-1]):
        async with undone(database) as connection:
            found += await Trial(setting, own, other).findings(connection)
    if found:
        listed = "".join(f"\n- {line}" for line in dict.fromkeys(found))
        raise AssertionError(f"the tenants are not isolated:{listed}")
