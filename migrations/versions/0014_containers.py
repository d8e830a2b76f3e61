"""Containers and their bindings."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_containers()
    _create_agent_containers()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("agent_containers")
    op.drop_table("containers")


def _create_containers() -> None:
    op.create_table(
        "containers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("openai_id", sa.String(64), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("owner_user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("memory_limit", sa.String(8), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("expires_after", JSONBCompat(), nullable=True),
        sa.Column("last_active_at", UTCDateTime(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_containers"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_containers_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["owner_user_id"], ["users.id"], name="fk_containers_owner_user_id", ondelete="SET NULL"
        ),
        sa.UniqueConstraint("openai_id", name="uq_containers_openai_id"),
        sa.UniqueConstraint(
            "tenant_id", "name", "deleted_at", name="uq_containers_tenant_id_name_deleted_at"
        ),
    )
    op.create_index("ix_containers_tenant_status", "containers", ["tenant_id", "status"])
    op.create_index("ix_containers_tenant_created", "containers", ["tenant_id", "created_at"])
    op.create_index(
        "uq_containers_live_name",
        "containers",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_containers_owner_user_id",
        "containers",
        ["owner_user_id"],
        postgresql_where=sa.text("owner_user_id IS NOT NULL"),
        sqlite_where=sa.text("owner_user_id IS NOT NULL"),
    )


def _create_agent_containers() -> None:
    op.create_table(
        "agent_containers",
        sa.Column("agent_key", sa.String(64), nullable=False),
        sa.Column("container_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agent_key", "container_id", "tenant_id", name="pk_agent_containers"
        ),
        sa.ForeignKeyConstraint(
            ["container_id"],
            ["containers.id"],
            name="fk_agent_containers_container_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_agent_containers_tenant_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "uq_agent_containers_tenant_agent",
        "agent_containers",
        ["tenant_id", "agent_key"],
        unique=True,
    )
    op.create_index("ix_agent_containers_container_id", "agent_containers", ["container_id"])
