"""What is installed here."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from agentdb import __version__
from agentdb.doctor.report import Finding, Status

_LIBRARIES = ("sqlalchemy", "alembic", "psycopg", "psycopg-binary", "aiosqlite", "pydantic")


def versions() -> Iterator[Finding]:
    """Yield the versions of this package and of what it stands on."""
    yield Finding("agentdb", Status.OK, __version__)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("python", Status.OK, f"{python}, {platform.system()} {platform.machine()}")
    libraries = [f"{name} {_version(name)}" for name in _LIBRARIES]
    yield Finding(
        "libraries", Status.OK, ", ".join([*libraries, f"SQLite {sqlite3.sqlite_version}"])
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
