"""The table that holds the revision of the schema."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table

VERSION_TABLE = "agentdb_version"
"""Not Alembic's default, so that the host's own migrations live beside ours."""

# Alembic makes it. A light `table()` would not follow `schema_translate_map`.
version_table = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))
