"""The table that holds the revision of the schema."""

VERSION_TABLE = "agentdb_version"
"""Not Alembic's default, so that the host's own migrations live beside ours."""
