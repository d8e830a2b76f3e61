"""Stripe events and their dispatch."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_stripe_events()
    _create_stripe_event_dispatch()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("stripe_event_dispatch")
    op.drop_table("stripe_events")


def _create_stripe_events() -> None:
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stripe_event_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(128), nullable=False),
        sa.Column("payload", JSONBCompat(), nullable=False),
        sa.Column("tenant_hint", sa.String(64), nullable=True),
        sa.Column("stripe_created_at", UTCDateTime(), nullable=True),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("processed_at", UTCDateTime(), nullable=True),
        sa.Column("processing_outcome", sa.String(32), nullable=False),
        sa.Column("processing_error", sa.Text(), nullable=True),
        sa.Column("processing_attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_events"),
        sa.UniqueConstraint("stripe_event_id", name="uq_stripe_events_stripe_event_id"),
    )
    op.create_index("ix_stripe_events_type", "stripe_events", ["event_type"])
    op.create_index("ix_stripe_events_status", "stripe_events", ["processing_outcome"])
    op.create_index("ix_stripe_events_received", "stripe_events", ["received_at", "id"])
    op.create_index(
        "ix_stripe_events_tenant_received",
        "stripe_events",
        ["tenant_hint", "received_at", "id"],
        postgresql_where=sa.text("tenant_hint IS NOT NULL"),
        sqlite_where=sa.text("tenant_hint IS NOT NULL"),
    )
    op.create_index(
        "ix_stripe_events_processed",
        "stripe_events",
        ["processed_at", "id"],
        postgresql_where=sa.text("processed_at IS NOT NULL"),
        sqlite_where=sa.text("processed_at IS NOT NULL"),
    )


def _create_stripe_event_dispatch() -> None:
    op.create_table(
        "stripe_event_dispatch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stripe_event_id", sa.Uuid(), nullable=False),
        sa.Column("handler", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at", UTCDateTime(), nullable=True),
        sa.Column("next_retry_at", UTCDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_event_dispatch"),
        sa.ForeignKeyConstraint(
            ["stripe_event_id"],
            ["stripe_events.id"],
            name="fk_stripe_event_dispatch_stripe_event_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "stripe_event_id", "handler", name="uq_stripe_event_dispatch_stripe_event_id_handler"
        ),
    )
    op.create_index(
        "ix_stripe_event_dispatch_handler_status",
        "stripe_event_dispatch",
        ["handler", "status", "next_retry_at"],
    )
    op.create_index(
        "ix_stripe_event_dispatch_due",
        "stripe_event_dispatch",
        ["next_retry_at", "id"],
        postgresql_where=sa.text("status IN ('pending', 'in_progress', 'failed')"),
        sqlite_where=sa.text("status IN ('pending', 'in_progress', 'failed')"),
    )
