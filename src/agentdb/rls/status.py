"""Asking a database whether its policies are all there, and bind the role that asks."""

from __future__ import annotations

from sqlalchemy import Connection, text

from agentdb.errors import ConfigurationError, PermissionDeniedError
from agentdb.migrate.connections import Target, looking
from agentdb.rls.state import RlsStatus, is_recorded, table_states
from agentdb.rls.statements import TABLES
from agentdb.search_path import mapped_schema

_OURS = """
    SELECT c.oid, c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema())
      AND c.relname = ANY(:tables) AND c.relkind IN ('r', 'p')
"""
_ROLE = text(f"""
    WITH ours AS ({_OURS})
    SELECT r.rolsuper AS superuser, r.rolbypassrls AS bypasses,
           EXISTS (SELECT FROM ours WHERE pg_has_role(relowner, 'USAGE')) AS owns,
           coalesce((SELECT bool_and(row_security_active(oid)) FROM ours), false) AS bound
    FROM pg_roles r WHERE r.rolname = current_user
""")  # noqa: S608 -- of constants
# https://www.postgresql.org/docs/current/sql-createview.html#SQL-CREATEVIEW-SECURITY
_LEAKS = text(f"""
    WITH ours AS ({_OURS})
    SELECT DISTINCT v.oid::regclass::text FROM ours
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = ours.oid
    JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    JOIN pg_class v ON v.oid = w.ev_class AND v.oid <> ours.oid
    WHERE v.relkind = 'm' OR v.relkind = 'v' AND NOT EXISTS (
        SELECT FROM pg_options_to_table(v.reloptions)
        WHERE option_name = 'security_invoker' AND option_value::boolean)
    ORDER BY 1
""")  # noqa: S608 -- of constants
_PLACE = text("""
    SELECT (pg_control_system()).system_identifier, oid
    FROM pg_database WHERE datname = current_database()
""")


def status(target: Target, *, schema: str | None = None) -> RlsStatus:
    """Tell how far the database is under its policies; changes nothing.

    Args:
        target: The database; the role of the URL is the one that is judged.
        schema: Schema that holds the tables.

    Raises:
        ConfigurationError: The database is SQLite, which has no row-level security.
        UnavailableError: The database cannot be reached.
    """
    with looking(target, schema=schema) as connection:
        require_postgresql(connection)
        return status_on(connection)


def status_on(connection: Connection) -> RlsStatus:
    """Tell how far the database of a live connection is under its policies."""
    ours = {"schema": mapped_schema(connection), "tables": list(TABLES)}
    role = connection.execute(_ROLE, ours).one()
    ways = {"superuser": role.superuser, "BYPASSRLS": role.bypasses, "owner": role.owns}
    return RlsStatus(
        is_recorded(connection),
        table_states(connection),
        leaks=tuple(connection.execute(_LEAKS, ours).scalars()),
        bound=role.bound,
        passes=tuple(way for way, there in ways.items() if there),
    )


def require(
    target: Target, *, platform: Target | None = None, schema: str | None = None
) -> RlsStatus:
    """Refuse a database that a service of tenants should not work with; for its start.

    Args:
        target: The database, by the role of units of tenants.
        platform: The same by the role of units of the system, if it is another.
        schema: Schema that holds the tables.

    Raises:
        PermissionDeniedError: A table is without its policies, a view reads past them, or they do
            not bind the role of tenants, or bind the one of the system; the message names what.
        ConfigurationError: The two roles lead to two databases; else as of `status`.
        UnavailableError: As of `status`.
    """
    with looking(target, schema=schema) as connection:
        require_postgresql(connection)
        found = status_on(connection)
        place = _place(connection)
    if refusal := found.refusal:
        raise PermissionDeniedError(refusal)
    if platform is not None:
        _require_platform(platform, place, schema)
    return found


def _require_platform(platform: Target, place: tuple[int, int], schema: str | None) -> None:
    with looking(platform, schema=schema) as connection:
        require_postgresql(connection)
        if _place(connection) != place:
            raise ConfigurationError("platform_url leads to another database")
        if status_on(connection).bound:
            raise PermissionDeniedError("the role of platform_url is bound: it needs BYPASSRLS")


def _place(connection: Connection) -> tuple[int, int]:
    """Return what tells a database from all others, those of other servers included."""
    cluster, database = connection.execute(_PLACE).one()
    return cluster, database


def require_postgresql(connection: Connection) -> None:
    """Refuse SQLite.

    Raises:
        ConfigurationError: It is SQLite.
    """
    if connection.dialect.name != "postgresql":
        raise ConfigurationError("SQLite has no row-level security: there the filter confines")
