"""What must be there before the first revision runs, told in one sentence where it is not."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.schema import CreateSchema

from agentdb.errors import ConfigurationError, PermissionDeniedError
from agentdb.migrate.tables import table_names
from agentdb.search_path import mapped_schema

_RIGHTS = text("""
    SELECT quote_ident(current_database()) AS database, quote_ident(current_user) AS role,
           current_setting('server_encoding') AS encoding,
           coalesce(CAST(:schema AS text), current_schema()) AS schema,
           EXISTS (SELECT FROM pg_namespace WHERE nspname = CAST(:schema AS text)) AS there,
           has_database_privilege(current_database(), 'CREATE') AS makes_schemas,
           EXISTS (SELECT FROM pg_extension WHERE extname = 'citext') AS installed,
           (SELECT quote_ident(nspname) FROM pg_namespace
            WHERE oid = (SELECT extnamespace FROM pg_extension WHERE extname = 'citext')
              AND NOT has_schema_privilege(oid, 'USAGE')) AS hidden,
           to_regnamespace('public') IS NOT NULL AS has_public,
           coalesce(has_schema_privilege(to_regnamespace('public'), 'USAGE'), false) AS sees_public,
           EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') AS installable
""")
# Of two privileges in one call, either would do.
_MAY_CREATE = text("""
    SELECT has_schema_privilege(:schema, 'USAGE') AND has_schema_privilege(:schema, 'CREATE')
""")
_NOT_OURS = text("""
    SELECT quote_ident(relname), quote_ident(pg_get_userbyid(relowner)) FROM pg_class
    WHERE relnamespace = CAST(quote_ident(:schema) AS regnamespace) AND relkind IN ('r', 'p')
      AND relname = ANY(:tables) AND NOT pg_has_role(relowner, 'USAGE')
    ORDER BY relname LIMIT 1
""")


def prepare(connection: Connection) -> None:
    """Make the schema where it is missing, and refuse what could not end well.

    Raises:
        PermissionDeniedError: The role lacks a right; the message holds the GRANT.
        ConfigurationError: The server lacks citext, or the database is not in UTF-8.
    """
    if connection.dialect.name != "postgresql":
        return
    with nullcontext() if connection.in_transaction() else connection.begin():
        _prepare(connection, mapped_schema(connection))


def _prepare(connection: Connection, named: str | None) -> None:
    rights = connection.execute(_RIGHTS, {"schema": named}).one()
    if rights.encoding != "UTF8":
        raise ConfigurationError(f"the database is in {rights.encoding}, and has to be in UTF8")
    _require_citext(rights, named)
    if named is not None and not rights.there:
        if not rights.makes_schemas:
            raise _lacks("make the schema", _on_database(rights))
        connection.execute(CreateSchema(named, if_not_exists=True))
    if rights.schema is None:
        raise ConfigurationError("no schema of the search path exists: name one with --schema")
    _require_schema(connection, rights.schema, rights.role)


def _require_citext(rights: Row[Any], named: str | None) -> None:
    hidden = rights.hidden if rights.installed else _require_installable(rights, named)
    if hidden is not None:
        grant = f"GRANT USAGE ON SCHEMA {hidden} TO {rights.role}"
        raise _lacks("use the extension citext", grant)


def _require_installable(rights: Row[Any], named: str | None) -> str | None:
    """Return the schema that citext would go to, if the role could not use it there.

    The first revision puts it beside a named schema, into public.
    """
    if not rights.installable:
        raise ConfigurationError(
            "the server lacks the extension citext: install PostgreSQL's contrib package"
        )
    if not rights.makes_schemas:
        raise _lacks("install the extension citext", _on_database(rights))
    if named is None:
        return None
    if not rights.has_public:
        raise ConfigurationError(
            "there is no schema public to put citext into: run CREATE EXTENSION citext elsewhere"
        )
    return None if rights.sees_public else "public"


def _require_schema(connection: Connection, schema: str, role: str) -> None:
    values = {"schema": schema, "tables": list(table_names())}
    if not connection.scalar(_MAY_CREATE, values):
        raise _lacks("make tables", f"GRANT USAGE, CREATE ON SCHEMA {_quoted(schema)} TO {role}")
    if foreign := connection.execute(_NOT_OURS, values).first():
        table, owner = foreign
        raise _lacks(f"change the table {table}", f"GRANT {owner} TO {role}")


def _on_database(rights: Row[Any]) -> str:
    return f"GRANT CREATE ON DATABASE {rights.database} TO {rights.role}"


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _lacks(what: str, grant: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"the role of the database may not {what}; its owner can: {grant}")
