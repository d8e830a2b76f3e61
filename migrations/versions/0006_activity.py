"""The activity feed and its read state."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONCompat, UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_activity_events()
    _create_activity_event_receipts()
    _create_activity_last_seen()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("activity_last_seen")
    op.drop_table("activity_event_receipts")
    op.drop_table("activity_events")


def _create_activity_events() -> None:
    op.create_table(
        "activity_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(96), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_type", sa.String(16), nullable=True),
        sa.Column("actor_role", sa.String(32), nullable=True),
        sa.Column("object_type", sa.String(64), nullable=True),
        sa.Column("object_id", sa.String(128), nullable=True),
        sa.Column("object_name", sa.String(256), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("source", sa.String(32), nullable=True),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("ip_hash", sa.String(128), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("metadata", JSONCompat(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_activity_events"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_activity_events_tenant_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_activity_events_tenant_created", "activity_events", ["tenant_id", "created_at"]
    )
    op.create_index("ix_activity_events_tenant_action", "activity_events", ["tenant_id", "action"])
    op.create_index(
        "ix_activity_events_object", "activity_events", ["tenant_id", "object_type", "object_id"]
    )
    op.create_index("ix_activity_events_request", "activity_events", ["request_id"])
    op.create_index("ix_activity_events_created", "activity_events", ["created_at", "id"])


def _create_activity_event_receipts() -> None:
    op.create_table(
        "activity_event_receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activity_event_receipts"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_activity_event_receipts_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_activity_event_receipts_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["activity_events.id"],
            name="fk_activity_event_receipts_event_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "user_id",
            "event_id",
            name="uq_activity_event_receipts_tenant_id_user_id_event_id",
        ),
    )
    op.create_index(
        "ix_activity_receipts_user_status",
        "activity_event_receipts",
        ["tenant_id", "user_id", "status"],
    )
    op.create_index("ix_activity_event_receipts_user_id", "activity_event_receipts", ["user_id"])
    op.create_index("ix_activity_event_receipts_event_id", "activity_event_receipts", ["event_id"])


def _create_activity_last_seen() -> None:
    op.create_table(
        "activity_last_seen",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("last_seen_created_at", UTCDateTime(), nullable=False),
        sa.Column("last_seen_event_id", sa.Uuid(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activity_last_seen"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_activity_last_seen_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_activity_last_seen_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_activity_last_seen_tenant_id_user_id"),
    )
    op.create_index("ix_activity_last_seen_user", "activity_last_seen", ["tenant_id", "user_id"])
    op.create_index("ix_activity_last_seen_user_id", "activity_last_seen", ["user_id"])
