"""Opening the database that the shared options name."""

from __future__ import annotations

import click

from agentdb.cli.options import PLATFORM
from agentdb.database import Database
from agentdb.settings import Settings


def opened(url: str, schema: str | None, settings: Settings | None = None) -> Database:
    """Return the database of the running command, with the role that ``--platform-url`` names."""
    platform_url: str | None = click.get_current_context().meta.get(PLATFORM)
    return Database(url, platform_url=platform_url, schema=schema, settings=settings)
