"""Vector stores, their files and their bindings."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_vector_stores()
    _create_vector_store_files()
    _create_agent_vector_stores()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("agent_vector_stores")
    op.drop_table("vector_store_files")
    op.drop_table("vector_stores")


def _create_vector_stores() -> None:
    op.create_table(
        "vector_stores",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("openai_id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("owner_user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("usage_bytes", sa.Integer(), nullable=False),
        sa.Column("expires_after", JSONBCompat(), nullable=True),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("last_active_at", UTCDateTime(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vector_stores"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_vector_stores_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["owner_user_id"],
            ["users.id"],
            name="fk_vector_stores_owner_user_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint("openai_id", name="uq_vector_stores_openai_id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_vector_stores_tenant_id_name"),
    )
    op.create_index("ix_vector_stores_tenant_status", "vector_stores", ["tenant_id", "status"])
    op.create_index("ix_vector_stores_tenant_created", "vector_stores", ["tenant_id", "created_at"])
    op.create_index(
        "ix_vector_stores_owner_user_id",
        "vector_stores",
        ["owner_user_id"],
        postgresql_where=sa.text("owner_user_id IS NOT NULL"),
        sqlite_where=sa.text("owner_user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_vector_stores_sync",
        "vector_stores",
        ["updated_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )


def _create_vector_store_files() -> None:
    op.create_table(
        "vector_store_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("openai_file_id", sa.String(64), nullable=False),
        sa.Column("vector_store_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(256), nullable=False),
        sa.Column("mime_type", sa.String(128), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=True),
        sa.Column("usage_bytes", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attributes_json", JSONBCompat(), nullable=False),
        sa.Column("chunking_json", JSONBCompat(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vector_store_files"),
        sa.ForeignKeyConstraint(
            ["vector_store_id"],
            ["vector_stores.id"],
            name="fk_vector_store_files_vector_store_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "vector_store_id",
            "openai_file_id",
            name="uq_vector_store_files_vector_store_id_openai_file_id",
        ),
    )
    op.create_index(
        "ix_vector_store_files_store_status", "vector_store_files", ["vector_store_id", "status"]
    )
    op.create_index("ix_vector_store_files_file", "vector_store_files", ["openai_file_id"])


def _create_agent_vector_stores() -> None:
    op.create_table(
        "agent_vector_stores",
        sa.Column("agent_key", sa.String(64), nullable=False),
        sa.Column("vector_store_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agent_key", "vector_store_id", "tenant_id", name="pk_agent_vector_stores"
        ),
        sa.ForeignKeyConstraint(
            ["vector_store_id"],
            ["vector_stores.id"],
            name="fk_agent_vector_stores_vector_store_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_agent_vector_stores_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id", "agent_key", name="uq_agent_vector_stores_tenant_id_agent_key"
        ),
    )
    op.create_index(
        "ix_agent_vector_stores_vector_store_id", "agent_vector_stores", ["vector_store_id"]
    )
