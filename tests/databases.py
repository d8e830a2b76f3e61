"""How the tests run single revisions, on connections of their own."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

ROOT = Path(__file__).parents[1]
VERSIONS = ROOT / "migrations" / "versions"


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
