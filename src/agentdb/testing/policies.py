"""A database under row-level security, with the three roles that a service has there."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from agentdb import rls
from agentdb.rls import Roles
from agentdb.urls import sync_url


@dataclass(frozen=True, slots=True)
class RoleUrls:
    """The URLs of one database, by what connects.

    Attributes:
        owner: Owns the tables: migrates, enables and disables row-level security.
        app: Runs units of tenants; the policies bind it.
        platform: Runs units of the system, past the policies.
        superuser: Made the others.
    """

    owner: str
    app: str
    platform: str
    superuser: str


@contextmanager
def under_policies(url: str) -> Generator[RoleUrls]:
    """Put a migrated database under row-level security while the block runs.

    The roles are the block's own, with a password of its own, and are dropped when it ends; the
    tables are then those of the role of *url* again.

    Args:
        url: A PostgreSQL database, by a superuser.

    Yields:
        The URLs of the roles, for ``Database(urls.app, platform_url=urls.platform)``.
    """
    target = make_url(url)
    name = f"agentdb_{token_hex(6)}"
    roles = Roles(owner=f"{name}_owner", app=f"{name}_app", platform=f"{name}_platform")
    with _connected(target) as connection:
        urls = _make(connection, target, roles)
        try:
            rls.enable(urls.owner)
            yield urls
        finally:
            _drop(connection, (roles.owner, roles.app, roles.platform))


def _connected(target: URL) -> psycopg.Connection:
    plain = sync_url(target).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)


def _make(connection: psycopg.Connection, target: URL, roles: Roles) -> RoleUrls:
    password = token_hex(16)
    for statement in rls.grants(roles):
        connection.execute(statement.encode())
    for role in (roles.owner, roles.app, roles.platform):
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(change.format(sql.Identifier(role), sql.Literal(password)))

    def of(role: str) -> str:
        chosen = target.set(username=role, password=password)
        return chosen.render_as_string(hide_password=False)

    superuser = target.render_as_string(hide_password=False)
    return RoleUrls(of(roles.owner), of(roles.app), of(roles.platform), superuser)


def _drop(connection: psycopg.Connection, roles: Iterable[str]) -> None:
    for role in map(sql.Identifier, roles):
        connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
