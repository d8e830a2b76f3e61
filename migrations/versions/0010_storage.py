"""Buckets and objects."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_storage_buckets()
    _create_storage_objects()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("storage_objects")
    op.drop_table("storage_buckets")


def _create_storage_buckets() -> None:
    op.create_table(
        "storage_buckets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("bucket_name", sa.String(128), nullable=False),
        sa.Column("region", sa.String(64), nullable=True),
        sa.Column("prefix", sa.String(128), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_storage_buckets"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_storage_buckets_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id", "bucket_name", name="uq_storage_buckets_tenant_id_bucket_name"
        ),
    )
    op.create_index(
        "ix_storage_buckets_tenant_provider", "storage_buckets", ["tenant_id", "provider"]
    )
    op.create_index(
        "ix_storage_buckets_default",
        "storage_buckets",
        ["tenant_id"],
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
        sqlite_where=sa.text("is_default AND deleted_at IS NULL"),
    )


def _create_storage_objects() -> None:
    op.create_table(
        "storage_objects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("bucket_id", sa.Uuid(), nullable=False),
        sa.Column("object_key", sa.String(512), nullable=False),
        sa.Column("filename", sa.String(256), nullable=False),
        sa.Column("mime_type", sa.String(128), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("checksum_sha256", sa.String(64), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("agent_key", sa.String(64), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_storage_objects"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_storage_objects_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["bucket_id"],
            ["storage_buckets.id"],
            name="fk_storage_objects_bucket_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_user_id"],
            ["users.id"],
            name="fk_storage_objects_created_by_user_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_storage_objects_conversation_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint(
            "bucket_id", "object_key", name="uq_storage_objects_bucket_id_object_key"
        ),
    )
    op.create_index("ix_storage_objects_tenant_status", "storage_objects", ["tenant_id", "status"])
    op.create_index("ix_storage_objects_conversation", "storage_objects", ["conversation_id"])
    op.create_index(
        "ix_storage_objects_created_by_user_id",
        "storage_objects",
        ["created_by_user_id"],
        postgresql_where=sa.text("created_by_user_id IS NOT NULL"),
        sqlite_where=sa.text("created_by_user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_storage_objects_tenant_created", "storage_objects", ["tenant_id", "created_at", "id"]
    )
    op.create_index(
        "ix_storage_objects_expires",
        "storage_objects",
        ["expires_at", "id"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_storage_objects_pending",
        "storage_objects",
        ["created_at", "id"],
        postgresql_where=sa.text("status IN ('pending', 'pending_upload')"),
        sqlite_where=sa.text("status IN ('pending', 'pending_upload')"),
    )
    op.create_index(
        "ix_storage_objects_deleted",
        "storage_objects",
        ["deleted_at", "id"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
    )
