"""The three roles of a service under row-level security, and what each is granted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass

from sqlalchemy import Table

from agentdb.models import Base
from agentdb.orm import TenancyClass
from agentdb.rls.statements import TABLES
from agentdb.search_path import literal, prefix, quoted
from agentdb.tenancy.guard import KEPT
from agentdb.tenancy.predicates import model_of
from agentdb.version import VERSION_TABLE

_DATA = "SELECT, INSERT, UPDATE, DELETE"
_FIXED = {"users": ("id", "platform_role"), "tenant_accounts": ("id",)}
"""Columns that no unit of a tenant changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The names of three roles.

    Attributes:
        owner: Owns the tables: migrates, enables row-level security.
        app: Runs the units of tenants, bound by the policies.
        platform: Runs the units of the system, past the policies.
    """

    owner: str = "agentdb_owner"
    app: str = "agentdb_app"
    platform: str = "agentdb_platform"


def grants(roles: Roles | None = None, *, schema: str | None = None) -> list[str]:
    """Return the statements that make three roles and give each what it needs, and no more.

    A superuser runs them on the migrated database; they may run again. They set no password. After
    an upgrade that made tables they run once more: until then the application cannot reach those.

    Args:
        roles: The names; None for the defaults.
        schema: Schema that holds the tables; None for ``public``.
    """
    chosen = roles or Roles()
    place = schema or "public"
    return [
        *_made(chosen),
        *_owning(chosen.owner, place),
        *_serving(chosen.app, place),
        *_reaching(chosen, place),
    ]


def _made(roles: Roles) -> Iterator[str]:
    for name, attribute in zip(
        astuple(roles), ("NOBYPASSRLS", "NOBYPASSRLS", "BYPASSRLS"), strict=True
    ):
        role = quoted(name)
        make = f"CREATE ROLE {role} LOGIN"
        missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(name)})"
        yield f"DO {_body(f'IF {missing} THEN {make}; END IF;')}"
        yield f"ALTER ROLE {role} NOSUPERUSER {attribute}"


def _owning(name: str, schema: str) -> Iterator[str]:
    owner = quoted(name)
    database = "format('GRANT CREATE ON DATABASE %I TO %I', current_database(), {})"
    yield f"DO {_body(f'EXECUTE {database.format(literal(name))};')}"
    yield f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {owner}"
    for table in (VERSION_TABLE, *TABLES):
        yield f"ALTER TABLE {prefix(schema)}{table} OWNER TO {owner}"
    for enum in sorted(_enums()):
        yield f"ALTER TYPE {prefix(schema)}{enum} OWNER TO {owner}"


def _serving(name: str, schema: str) -> Iterator[str]:
    app = quoted(name)
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {app}"
    yield f"GRANT SELECT ON {prefix(schema)}{VERSION_TABLE} TO {app}"
    for table in TABLES:
        rights = ", ".join(_rights(table))
        place = f"{prefix(schema)}{table}"
        yield f"REVOKE ALL ON {place} FROM {app}"
        if rights:
            yield f"GRANT {rights} ON {place} TO {app}"
    yield f"GRANT USAGE ON SEQUENCE {', '.join(_sequences(schema))} TO {app}"


def _rights(table: str) -> Iterator[str]:
    """Yield what a unit of a tenant may do with a table."""
    kind = model_of(table).__tenancy__.kind
    if kind is TenancyClass.SHARED:
        yield "SELECT"
    elif table in KEPT:
        columns: Iterable[str] = Base.metadata.tables[table].columns.keys()
        changed = ", ".join(c for c in columns if c not in _FIXED[table])
        yield from ("SELECT", f"UPDATE ({changed})")
    elif kind is not TenancyClass.SYSTEM:
        yield _DATA


def _reaching(roles: Roles, schema: str) -> Iterator[str]:
    platform = quoted(roles.platform)
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {platform}"
    yield f"GRANT SELECT ON {prefix(schema)}{VERSION_TABLE} TO {platform}"
    tables = ", ".join(f"{prefix(schema)}{table}" for table in TABLES)
    yield f"GRANT {_DATA} ON {tables} TO {platform}"
    yield f"GRANT USAGE ON SEQUENCE {', '.join(_sequences(schema))} TO {platform}"


def _sequences(schema: str) -> Iterator[str]:
    for name in TABLES:
        table: Table = Base.metadata.tables[name]
        column = table.autoincrement_column
        if column is not None:
            yield f"{prefix(schema)}{name}_{column.name}_seq"


def _enums() -> set[str]:
    types = (column.type for t in Base.metadata.tables.values() for column in t.columns)
    return {str(getattr(kind, "name", None)) for kind in types if getattr(kind, "enums", None)}


def _body(code: str) -> str:
    """Return an anonymous block."""
    return literal(f"BEGIN {code} END")
