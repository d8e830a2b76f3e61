"""The host's own Alembic."""
