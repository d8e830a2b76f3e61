"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg

PACKAGES = (
    "sqlalchemy",
    "psycopg",
    "aiosqlite",
    "alembic",
    "advanced-alchemy",
    "openai-agents",
    "eventsourcing",
    "procrastinate",
    "pgqueuer",
    "asyncpg",
)


def machine() -> dict[str, str]:
    """Return the processor, the interpreter, and the versions of what took part."""
    found = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{_memory():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "libpq": str(psycopg.pq.version()),
        "SQLite": sqlite3.sqlite_version,
    }
    return {**found, **{name: _version(name) for name in PACKAGES}}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
