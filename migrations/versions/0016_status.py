"""Subscriptions to status notices."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "status_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("target_hash", sa.String(128), nullable=False),
        sa.Column("target_masked", sa.String(512), nullable=False),
        sa.Column("target_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("severity_filter", sa.String(16), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("verification_token_hash", sa.String(128), nullable=True),
        sa.Column("verification_expires_at", UTCDateTime(), nullable=True),
        sa.Column("challenge_token_hash", sa.String(128), nullable=True),
        sa.Column("webhook_secret_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("unsubscribe_token_hash", sa.String(128), nullable=True),
        sa.Column("unsubscribe_token_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("last_challenge_sent_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_status_subscriptions"),
    )
    op.create_index("ix_status_subscriptions_target_hash", "status_subscriptions", ["target_hash"])
    op.create_index("ix_status_subscriptions_tenant_id", "status_subscriptions", ["tenant_id"])
    op.create_index(
        "ix_status_subscriptions_verification_token_hash",
        "status_subscriptions",
        ["verification_token_hash"],
    )
    op.create_index(
        "ix_status_subscriptions_challenge_token_hash",
        "status_subscriptions",
        ["challenge_token_hash"],
    )
    op.create_index(
        "ix_status_subscriptions_unsubscribe_token_hash",
        "status_subscriptions",
        ["unsubscribe_token_hash"],
    )
    op.create_index("ix_status_subscriptions_created", "status_subscriptions", ["created_at", "id"])
    op.create_index(
        "ix_status_subscriptions_active",
        "status_subscriptions",
        ["id"],
        postgresql_where=sa.text("status = 'active'"),
        sqlite_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "ix_status_subscriptions_pending",
        "status_subscriptions",
        ["verification_expires_at", "id"],
        postgresql_where=sa.text("status = 'pending_verification'"),
        sqlite_where=sa.text("status = 'pending_verification'"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("status_subscriptions")
