"""Database URLs as people write them, mapped to the drivers that agentdb speaks."""

from __future__ import annotations

import os

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from agentdb.errors import ConfigurationError

ENVIRONMENT = "AGENTDB_DATABASE_URL"
PLATFORM_ENVIRONMENT = "AGENTDB_PLATFORM_DATABASE_URL"
SCHEMA_ENVIRONMENT = "AGENTDB_SCHEMA"
EMBEDDED_DEFAULT = "sqlite+aiosqlite:///agentdb.sqlite3"

_DRIVERS = {
    "postgres": ("postgresql+psycopg", "postgresql+psycopg"),
    "postgresql": ("postgresql+psycopg", "postgresql+psycopg"),
    "postgresql+psycopg": ("postgresql+psycopg", "postgresql+psycopg"),
    "postgresql+psycopg_async": ("postgresql+psycopg", "postgresql+psycopg"),
    "sqlite": ("sqlite+aiosqlite", "sqlite+pysqlite"),
    "sqlite+aiosqlite": ("sqlite+aiosqlite", "sqlite+pysqlite"),
    "sqlite+pysqlite": ("sqlite+aiosqlite", "sqlite+pysqlite"),
}


def url_from_environment() -> str:
    """Return ``AGENTDB_DATABASE_URL``, else the embedded default in the working directory.

    A host's ``DATABASE_URL`` is never read: it names the host's database, which may be another.
    """
    return os.environ.get(ENVIRONMENT) or EMBEDDED_DEFAULT


def platform_url_from_environment() -> str | None:
    """Return ``AGENTDB_PLATFORM_DATABASE_URL``; None where it is not set or empty."""
    return os.environ.get(PLATFORM_ENVIRONMENT) or None


def schema_from_environment() -> str | None:
    """Return ``AGENTDB_SCHEMA``; None where it is not set or empty."""
    return os.environ.get(SCHEMA_ENVIRONMENT) or None


def async_url(url: str | URL) -> URL:
    """Return *url* for the asynchronous driver.

    Raises:
        ConfigurationError: It is no URL, or of a database that agentdb does not speak.
    """
    return _with_driver(url, 0)


def sync_url(url: str | URL) -> URL:
    """Return *url* for the synchronous driver; errors as of `async_url`."""
    return _with_driver(url, 1)


def is_memory(url: URL) -> bool:
    """Whether a SQLite database lives in the memory of its one connection."""
    return url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}


def _with_driver(url: str | URL, which: int) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("the database URL cannot be parsed") from None
    if parsed.drivername not in _DRIVERS:
        known = "postgresql://… or sqlite://…"
        raise ConfigurationError(f"agentdb speaks {known}, not {parsed.drivername}://")
    return parsed.set(drivername=_DRIVERS[parsed.drivername][which])
