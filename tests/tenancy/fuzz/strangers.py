"""Steps that try to make rows another tenant's, or of another tenant, by SQL as text."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Column

from agentdb.errors import PermissionDeniedError
from tests.rows import MODELS, table_of
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import KEPT, OF_NOBODY, OPERATOR, SHARED
from tests.tenancy.fuzz.sides import Side
from tests.tenancy.fuzz.steps import Step
from tests.tenancy.fuzz.texts import quoted, run

OWNERS = {
    "users": "id",
    "tenant_accounts": "id",
    "agent_messages": "conversation_id",
    "agent_run_events": "conversation_id",
    "subscription_invoices": "subscription_id",
    "subscription_usage": "subscription_id",
    "vector_store_files": "vector_store_id",
    "workflow_run_steps": "workflow_run_id",
    "password_history": "user_id",
    "user_consents": "user_id",
    "user_mfa_methods": "user_id",
    "user_profiles": "user_id",
    "user_recovery_codes": "user_id",
}
"""The columns that say whose a row is, where that is not ``tenant_id``."""


def give_away(draw: Draw) -> Step:
    """Draw an UPDATE, of all rows that are seen, to another owner."""
    table = _owned(draw)
    owner = OWNERS.get(table, "tenant_id")
    ending = draw.among(["", f" WHERE {owner} IS NOT NULL", f" RETURNING {owner}"])
    return _refused(f"UPDATE {table} SET {owner} = {_stranger(draw, table)}{ending}")


def insert(draw: Draw) -> Step:
    """Draw an INSERT of a copy of an own row, for another owner."""
    table = _owned(draw)
    columns = [column for column in table_of(MODELS[table]).columns if column.computed is None]
    values = ", ".join(_copied(column, draw, table) for column in columns)
    names = ", ".join(column.name for column in columns)
    clash = draw.among(["", "", " ON CONFLICT DO NOTHING"])
    return _refused(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} LIMIT 1{clash}")


def closed(draw: Draw) -> Step:
    """Draw what only an owner may do."""
    table = draw.table()
    every = [f"TRUNCATE {table} CASCADE", f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"]
    return _refused(draw.among(every))


def forbidden(draw: Draw) -> Step:
    """Draw a change of what no tenant changes."""
    table = draw.table()
    while table not in (*KEPT, *SHARED, *OPERATOR):
        table = draw.among([*KEPT, *SHARED, *OPERATOR])
    key = next(iter(table_of(MODELS[table]).primary_key)).name
    changes = [f"INSERT INTO {table} SELECT * FROM {table}", f"DELETE FROM {table}"]
    if table not in KEPT:
        changes += [f"UPDATE {table} SET {key} = {key}"]
    return _refused(draw.among(changes))


def _refused(sql: str) -> Step:
    return Step(sql, lambda side: _changed(side, sql), writes=True, refused=True)


async def _changed(side: Side, sql: str) -> Any:
    """Run a change; that it finds no row to change is a refusal as well."""
    found = await run(side, sql)
    if found in (0, []):
        raise PermissionDeniedError("there is no such row")
    return found


def _owned(draw: Draw) -> str:
    """Draw a table whose rows have an owner that can be named."""
    table = draw.table()
    while table in (*SHARED, *OPERATOR):
        table = draw.among(list(MODELS))
    return table


def _stranger(draw: Draw, table: str) -> str:
    """Draw an owner that the tenant is not."""
    if table in OF_NOBODY and draw.chance(0.2):
        return "NULL"
    foreign: list[Any] = draw.population.foreign(draw.tenant, table)
    named = [getattr(row, OWNERS.get(table, "tenant_id")) for row in foreign]
    return quoted(str(draw.among([owner for owner in named if owner is not None])))


def _copied(column: Column[Any], draw: Draw, table: str) -> str:
    if column.name == OWNERS.get(table, "tenant_id"):
        value = _stranger(draw, table)
        return f"{value}::{'uuid' if column.type.python_type is UUID else 'text'}"
    if column.primary_key and not column.foreign_keys:
        kinds = {UUID: "gen_random_uuid()", str: "gen_random_uuid()::text", int: "-1"}
        return kinds[column.type.python_type]
    return column.name
