"""Empty databases for the tests of the schema, and the revisions that fill them."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

ROOT = Path(__file__).parents[1]
VERSIONS = ROOT / "migrations" / "versions"
DIALECTS = ("sqlite", "postgresql")


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the configuration that runs the revisions on a live connection."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the revisions up to *revision*."""
    command.upgrade(alembic_config(connection), revision)


def downgrade(connection: Connection, revision: str = "base") -> None:
    """Undo the revisions down to *revision*."""
    command.downgrade(alembic_config(connection), revision)


@contextmanager
def empty_database(dialect: str, folder: Path) -> Generator[Engine]:
    """Make a database, and drop it in the end."""
    with _sqlite(folder) if dialect == "sqlite" else _postgresql() as engine:
        yield engine


@contextmanager
def _sqlite(folder: Path) -> Generator[Engine]:
    engine = create_engine(f"sqlite+pysqlite:///{folder / uuid4().hex}.db", poolclass=NullPool)

    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_immediate)
    yield engine
    engine.dispose()


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _postgresql() -> Generator[Engine]:
    server = os.environ.get("AGENTDB_TEST_DATABASE_URL")
    if server is None:
        pytest.skip("AGENTDB_TEST_DATABASE_URL names no PostgreSQL server")
    url = make_url(server).set(drivername="postgresql+psycopg")
    name = f"h1_{uuid4().hex}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    engine = create_engine(url.set(database=name), poolclass=NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' "
            "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
        )
        try:
            yield engine
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
