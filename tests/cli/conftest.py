"""TEMPORARY until agentdb.pytest_plugin has these fixtures."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from agentdb import migrate

SERVER = "postgresql://postgres:@/{}?host=/tmp/agentdb-devpg"


@pytest.fixture(params=["sqlite", "postgresql"])
def agentdb_empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'own.db'}"
        return
    name = f"h5_{uuid4().hex}"
    with psycopg.connect(SERVER.format("postgres"), autocommit=True) as admin:
        admin.execute(
            f"create database {name} template template0 encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
        )
        yield SERVER.format(name).replace("postgresql:", "postgresql+psycopg:")
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def agentdb_url(agentdb_empty_url: str) -> str:
    """A migrated database."""
    migrate.upgrade(agentdb_empty_url)
    return agentdb_empty_url
