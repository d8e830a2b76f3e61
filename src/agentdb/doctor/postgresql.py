"""A PostgreSQL server, the database on it, and the role that connects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from agentdb.doctor.report import Finding, Status
from agentdb.models import Base
from agentdb.poolers import is_pooled
from agentdb.rls.state import RlsState
from agentdb.rls.status import status_on
from agentdb.search_path import mapped_schema
from agentdb.types import UTC_NOW

_OLDEST = 15
_SKEW = 1.0
"""Seconds by which clocks may differ: expiries are stamped by one and compared by the other."""
_SHOWN = 5

# As JSON: the columns that hold the locale differ between the versions.
_SERVER = text("""
    SELECT version() AS version, current_setting('server_version') AS number,
           current_setting('server_version_num')::int / 10000 AS major,
           current_setting('server_encoding') AS encoding, current_setting('TimeZone') AS zone,
           pg_is_in_recovery() AS standby, to_jsonb(d) AS facts
    FROM pg_database d WHERE d.datname = current_database()
""")
_EXTENSIONS = text("""
    SELECT a.name AS name, n.nspname AS schema, a.installed_version AS installed,
           coalesce(v.trusted, false) AND has_database_privilege(current_database(), 'CREATE')
               OR current_setting('is_superuser') = 'on' AS installable
    FROM pg_available_extensions a
    LEFT JOIN pg_available_extension_versions v
        ON v.name = a.name AND v.version = a.default_version
    LEFT JOIN pg_extension e ON e.extname = a.name
    LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE a.name IN ('citext', 'pg_trgm')
""")
_ROLE = text("""
    SELECT r.rolsuper AS superuser, r.rolbypassrls AS bypasses,
           n.oid IS NOT NULL AS there,
           coalesce(has_schema_privilege(n.oid, 'USAGE')
                    AND has_schema_privilege(n.oid, 'CREATE'), false) AS creates,
           (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid
            AND c.relname = ANY(:tables) AND pg_has_role(c.relowner, 'USAGE')) AS owned
    FROM pg_roles r
    LEFT JOIN pg_namespace n ON n.nspname = coalesce(:schema, current_schema())
    WHERE r.rolname = current_user
""")
_INVALID = text("""
    SELECT i.indexrelid::regclass::text FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = ANY(:tables)
      AND NOT (i.indisvalid AND i.indisready)
    ORDER BY 1
""")
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def server(connection: Connection) -> Iterator[Finding]:
    """Yield the product, its version, the encoding and the locale."""
    row = connection.execute(_SERVER).one()
    product = row.version.split(" ")[0]
    yield _product(product, row)
    wrong = row.encoding != "UTF8"
    yield Finding(
        "encoding",
        Status.PROBLEM if wrong else Status.OK,
        row.encoding,
        "make the database anew with ENCODING 'UTF8'" if wrong else None,
    )
    yield _locale(row.facts)
    yield Finding("time zone", Status.OK, row.zone)
    if row.standby:
        advice = "connect to the primary: nothing can be written here"
        yield Finding("standby", Status.WARNING, "a read-only standby", advice)


def _product(product: str, row: Row[Any]) -> Finding:
    if product != "PostgreSQL":
        advice = "agentdb is tested on PostgreSQL alone"
        return Finding("server", Status.WARNING, f"{product} {row.number}", advice)
    tested = f"agentdb is tested from PostgreSQL {_OLDEST} on"
    old = row.major < _OLDEST
    status = Status.WARNING if old else Status.OK
    return Finding("server", status, f"PostgreSQL {row.number}", tested if old else None)


def _locale(facts: dict[str, Any]) -> Finding:
    provider = _PROVIDERS.get(str(facts.get("datlocprovider", "c")), "unknown")
    name = facts.get("datlocale") or facts.get("daticulocale") or facts["datctype"]
    ascii_alone = name in {"C", "POSIX"}
    advice = "case is folded for ASCII alone: searches tell É from é" if ascii_alone else None
    status = Status.WARNING if ascii_alone else Status.OK
    return Finding("locale", status, f"{name} ({provider})", advice)


def extensions(connection: Connection) -> Iterator[Finding]:
    """Yield whether the extensions are there; citext is needed, pg_trgm is of use to hosts."""
    rows = {row.name: row for row in connection.execute(_EXTENSIONS)}
    yield _citext(rows.get("citext"))
    found = rows.get("pg_trgm")
    yield Finding("pg_trgm", Status.OK, _extension(found))


def _extension(row: Row[Any] | None) -> str:
    if row is None:
        return "not available"
    if row.installed is not None:
        return f"{row.installed} in schema {row.schema}"
    return "can be installed" if row.installable else "may not be installed by this role"


def _citext(row: Row[Any] | None) -> Finding:
    value = _extension(row)
    if row is None:
        return Finding("citext", Status.PROBLEM, value, "install PostgreSQL's contrib package")
    if row.installed is not None:
        return Finding("citext", Status.OK, value)
    if row.installable:
        return Finding("citext", Status.OK, value, "`agentdb upgrade` installs it")
    advice = "let the owner of the database GRANT CREATE ON DATABASE, or CREATE EXTENSION citext"
    return Finding("citext", Status.PROBLEM, value, advice)


def role(connection: Connection) -> Iterator[Finding]:
    """Yield what the role may do; its name is nobody's business."""
    row = connection.execute(_ROLE, _ours(connection)).one()
    passes = row.superuser or row.bypasses
    rights = [
        *(["superuser"] if row.superuser else []),
        *(["BYPASSRLS"] if row.bypasses else []),
        f"owns {row.owned} of {len(Base.metadata.tables)} tables",
        _creates(row),
    ]
    advice = "row-level security does not bind it: let the service connect as a plain role"
    status = Status.WARNING if passes else Status.OK
    yield Finding("role", status, ", ".join(rights), advice if passes else None)


def policies(connection: Connection) -> Iterator[Finding]:
    """Yield how far the tables are under row-level security, and what reads past it."""
    found = status_on(connection)
    held = found.state is not RlsState.INCOMPLETE
    advice = "see `agentdb rls status`"
    yield Finding(
        "row-level security",
        Status.OK if held else Status.PROBLEM,
        found.state,
        None if held else advice,
    )
    if found.leaks and found.state is not RlsState.DISABLED:
        value = f"{len(found.leaks)} read with the rights of their owner"
        yield Finding("views", Status.WARNING, value, advice)


def _creates(row: Row[Any]) -> str:
    if not row.there:
        return "the schema does not exist"
    return "may create tables" if row.creates else "may not create tables"


def pooler(connection: Connection) -> Iterator[Finding]:
    """Yield whether a pooler stands between."""
    answering: int = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    pooled = is_pooled(connection.connection.driver_connection, answering)
    value = "one that changes server processes" if pooled else "none noticed"
    yield Finding("pooler", Status.OK, value)


def clock(connection: Connection) -> Iterator[Finding]:
    """Yield by how much the clock of the server is before ours."""
    before = UTC_NOW()
    there: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    after = UTC_NOW()
    seconds = (there - (before + (after - before) / 2)).total_seconds()
    apart = abs(seconds) > _SKEW + (after - before).total_seconds() / 2
    yield Finding(
        "clock",
        Status.WARNING if apart else Status.OK,
        f"{seconds:+.3f} s",
        "set both clocks by NTP" if apart else None,
    )


def invalid_indexes(connection: Connection) -> Iterator[Finding]:
    """Yield the indexes that PostgreSQL failed to build and does not use."""
    names = connection.execute(_INVALID, _ours(connection)).scalars().all()
    if not names:
        yield Finding("invalid indexes", Status.OK, "none")
        return
    more = ", …" if len(names) > _SHOWN else ""
    value = f"{len(names)}: {', '.join(names[:_SHOWN])}{more}"
    yield Finding("invalid indexes", Status.PROBLEM, value, "REINDEX INDEX CONCURRENTLY each")


def _ours(connection: Connection) -> dict[str, Any]:
    return {"schema": mapped_schema(connection), "tables": list(Base.metadata.tables)}
