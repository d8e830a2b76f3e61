"""A damaged file is refused with an error of ours, and nothing of it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from agentdb import Database
from agentdb.errors import (
    AgentDBError,
    InvalidValueError,
    NotFoundError,
    SchemaVersionError,
    TenantMismatchError,
)
from agentdb.operations import erase_tenant, import_tenant
from agentdb.operations.tenant_data.tables import ORDER
from agentdb.testing.two_tenants import PARTIES, rows_of, shared_rows
from tests.operations.tenant_data.test_importing import file_of
from tests.operations.tenant_data.worlds import rows_in, store_one

Lines = list[str]
OTHER = str(rows_of(PARTIES[1], shared_rows())["tenant_accounts"].id)


def at(number: int, **changes: Any) -> Callable[[Lines], Lines]:
    """Return a change of the members of one line."""
    return lambda lines: _set(lines, number, json.loads(lines[number]) | changes)


def in_row(table: str, **changes: Any) -> Callable[[Lines], Lines]:
    """Return a change of the columns of a table's row."""
    number = ORDER.index(table) + 1

    def change(lines: Lines) -> Lines:
        line = json.loads(lines[number])
        return _set(lines, number, line | {"row": line["row"] | changes})

    return change


def _set(lines: Lines, number: int, document: Any) -> Lines:
    return [*lines[:number], json.dumps(document) + "\n", *lines[number:][1:]]


DAMAGES: dict[str, tuple[Callable[[Lines], Lines], type[AgentDBError]]] = {
    "empty": (lambda _: [], InvalidValueError),
    "without header": (lambda lines: lines[1:], InvalidValueError),
    "of another format": (at(0, format="zip"), InvalidValueError),
    "of another version": (at(0, version=2), InvalidValueError),
    "of another revision": (at(0, revision="none"), SchemaVersionError),
    "of no tenant": (at(0, tenant="acme"), InvalidValueError),
    "of another tenant": (at(0, tenant=OTHER), TenantMismatchError),
    "cut off": (lambda lines: lines[:-1], InvalidValueError),
    "cut within a line": (lambda lines: [*lines[:9], lines[9][:40]], InvalidValueError),
    "going on": (lambda lines: [*lines, lines[1]], InvalidValueError),
    "lacking a row": (lambda lines: [*lines[:-2], lines[-1]], InvalidValueError),
    "out of order": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], InvalidValueError),
    "with an unknown table": (at(1, table="pg_class"), InvalidValueError),
    "with a table left out": (at(1, table="plan_features"), InvalidValueError),
    "deep": (lambda lines: [lines[0], "[" * 100_000, *lines[2:]], InvalidValueError),
    "with an unknown column": (in_row("users", shoe_size=42), InvalidValueError),
    "with bad text": (in_row("users", email=7), InvalidValueError),
    "with a bad UUID": (in_row("users", id="one"), InvalidValueError),
    "with a bad instant": (in_row("users", created_at="soon"), InvalidValueError),
    "with a naive instant": (in_row("users", created_at="2026-01-01"), InvalidValueError),
    "with bad bytes": (in_row("status_subscriptions", target_encrypted="?"), InvalidValueError),
    "with NULL": (in_row("users", status=None), InvalidValueError),
    "with a number twice": (in_row("agent_messages", id=0), InvalidValueError),
    "of a plan without a name here": (in_row("billing_plans", code="none"), NotFoundError),
    "with a row of others": (in_row("activity_events", tenant_id=OTHER), TenantMismatchError),
    "with a stranger": (in_row("usage_counters", user_id=OTHER), NotFoundError),
    "with a request": (in_row("tenant_signup_invites", signup_request_id=OTHER), NotFoundError),
    "referring elsewhere": (in_row("agent_messages", conversation_id=OTHER), NotFoundError),
}


@pytest.fixture
async def lines(agentdb_database: Database, agentdb_sync_connection: Connection) -> Lines:
    """The export of a tenant that the database does not have any more: one row of each table."""
    tenant = store_one(agentdb_sync_connection)["tenant_accounts"].id
    written = await file_of(agentdb_database, tenant)
    await erase_tenant(agentdb_database, tenant, delete_orphan_users=True)
    return written


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_refused(
    agentdb_database: Database,
    agentdb_sync_connection: Connection,
    lines: Lines,
    damage: str,
) -> None:
    """Each damage with its error, and the database stays as it was."""
    before = rows_in(agentdb_sync_connection)
    change, error = DAMAGES[damage]
    with pytest.raises(error):
        await import_tenant(agentdb_database, change(lines))
    assert rows_in(agentdb_sync_connection) == before


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    st.uuids().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}+00:00"),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_no_edited_file_leads_to_an_error_of_the_driver(
    agentdb_database: Database, lines: Lines, data: st.DataObject
) -> None:
    """Whatever stands in a column, the import stores the tenant or raises an error of ours."""
    table = data.draw(st.sampled_from(ORDER))
    row = json.loads(lines[ORDER.index(table) + 1])["row"]
    column = data.draw(st.sampled_from(sorted(row)))
    edited = in_row(table, **{column: data.draw(VALUES)})(lines)
    try:
        imported = await import_tenant(agentdb_database, edited)
    except AgentDBError:
        return
    await erase_tenant(agentdb_database, imported.tenant_id, delete_orphan_users=True)
