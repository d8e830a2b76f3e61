"""Ledger segments, frames and the run queue."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, RowId, UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_conversation_ledger_segments()
    _create_conversation_ledger_events()
    _create_conversation_run_queue_items()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("conversation_run_queue_items")
    op.drop_table("conversation_ledger_events")
    op.drop_table("conversation_ledger_segments")


def _create_conversation_ledger_segments() -> None:
    op.create_table(
        "conversation_ledger_segments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("segment_index", sa.Integer(), nullable=False),
        sa.Column("parent_segment_id", sa.Uuid(), nullable=True),
        sa.Column("visible_through_event_id", RowId(), nullable=True),
        sa.Column("visible_through_message_position", sa.Integer(), nullable=True),
        sa.Column("truncated_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_ledger_segments"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_conversation_ledger_segments_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_conversation_ledger_segments_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_segment_id"],
            ["conversation_ledger_segments.id"],
            name="fk_conversation_ledger_segments_parent_segment_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint(
            "conversation_id",
            "segment_index",
            name="uq_conversation_ledger_segments_conversation_id_segment_index",
        ),
    )
    op.create_index(
        "ix_conversation_ledger_segments_conversation_truncated",
        "conversation_ledger_segments",
        ["conversation_id", "truncated_at"],
    )
    op.create_index(
        "uq_conversation_ledger_segments_active",
        "conversation_ledger_segments",
        ["conversation_id"],
        unique=True,
        postgresql_where=sa.text("truncated_at IS NULL"),
        sqlite_where=sa.text("truncated_at IS NULL"),
    )
    op.create_index(
        "ix_conversation_ledger_segments_tenant_id", "conversation_ledger_segments", ["tenant_id"]
    )
    op.create_index(
        "ix_conversation_ledger_segments_parent_segment_id",
        "conversation_ledger_segments",
        ["parent_segment_id"],
        postgresql_where=sa.text("parent_segment_id IS NOT NULL"),
        sqlite_where=sa.text("parent_segment_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_ledger_segments_truncated",
        "conversation_ledger_segments",
        ["truncated_at", "id"],
        postgresql_where=sa.text("truncated_at IS NOT NULL"),
        sqlite_where=sa.text("truncated_at IS NOT NULL"),
    )


def _create_conversation_ledger_events() -> None:
    op.create_table(
        "conversation_ledger_events",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("schema_version", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("stream_id", sa.String(255), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("server_timestamp", UTCDateTime(), nullable=False),
        sa.Column("response_id", sa.String(128), nullable=True),
        sa.Column("agent", sa.String(64), nullable=True),
        sa.Column("workflow_run_id", sa.String(64), nullable=True),
        sa.Column("provider_sequence_number", sa.Integer(), nullable=True),
        sa.Column("output_index", sa.Integer(), nullable=True),
        sa.Column("item_id", sa.String(255), nullable=True),
        sa.Column("content_index", sa.Integer(), nullable=True),
        sa.Column("tool_call_id", sa.String(255), nullable=True),
        sa.Column("payload_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("payload_json", JSONBCompat(), nullable=True),
        sa.Column("payload_object_id", sa.Uuid(), nullable=True),
        sa.Column("ingested_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_ledger_events"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_conversation_ledger_events_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_conversation_ledger_events_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["conversation_ledger_segments.id"],
            name="fk_conversation_ledger_events_segment_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["payload_object_id"],
            ["storage_objects.id"],
            name="fk_conversation_ledger_events_payload_object_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint(
            "conversation_id", "stream_id", "event_id", name="uq_conversation_ledger_events_frame"
        ),
        sa.CheckConstraint(
            "payload_json IS NOT NULL OR payload_object_id IS NOT NULL",
            name=op.f("ck_conversation_ledger_events_payload_present"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_conversation_ledger_events_tenant_conversation_id_id",
        "conversation_ledger_events",
        ["tenant_id", "conversation_id", "id"],
    )
    op.create_index(
        "ix_conversation_ledger_events_tool_call_id", "conversation_ledger_events", ["tool_call_id"]
    )
    op.create_index(
        "ix_conversation_ledger_events_item_id", "conversation_ledger_events", ["item_id"]
    )
    op.create_index(
        "ix_conversation_ledger_events_segment_id",
        "conversation_ledger_events",
        ["segment_id", "id"],
    )
    op.create_index(
        "ix_conversation_ledger_events_payload_object_id",
        "conversation_ledger_events",
        ["payload_object_id"],
        postgresql_where=sa.text("payload_object_id IS NOT NULL"),
        sqlite_where=sa.text("payload_object_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_ledger_events_workflow_run",
        "conversation_ledger_events",
        ["workflow_run_id", "id"],
        postgresql_where=sa.text("workflow_run_id IS NOT NULL"),
        sqlite_where=sa.text("workflow_run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_ledger_events_citation",
        "conversation_ledger_events",
        ["conversation_id", "id"],
        postgresql_where=sa.text("kind = 'message.citation'"),
        sqlite_where=sa.text("kind = 'message.citation'"),
    )


def _create_conversation_run_queue_items() -> None:
    op.create_table(
        "conversation_run_queue_items",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=True),
        sa.Column("created_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("payload_json", JSONBCompat(), nullable=False),
        sa.Column("error_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("completed_at", UTCDateTime(), nullable=True),
        sa.Column("cancelled_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_run_queue_items"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_conversation_run_queue_items_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_conversation_run_queue_items_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["conversation_ledger_segments.id"],
            name="fk_conversation_run_queue_items_segment_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_user_id"],
            ["users.id"],
            name="fk_conversation_run_queue_items_created_by_user_id",
            ondelete="SET NULL",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_conversation_run_queue_items_conversation_status_id",
        "conversation_run_queue_items",
        ["conversation_id", "status", "id"],
    )
    op.create_index(
        "ix_conversation_run_queue_items_tenant_conversation_status_id",
        "conversation_run_queue_items",
        ["tenant_id", "conversation_id", "status", "id"],
    )
    op.create_index(
        "uq_conversation_run_queue_items_head",
        "conversation_run_queue_items",
        ["conversation_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('ready', 'running')"),
        sqlite_where=sa.text("status IN ('ready', 'running')"),
    )
    op.create_index(
        "ix_conversation_run_queue_items_segment_id",
        "conversation_run_queue_items",
        ["segment_id"],
        postgresql_where=sa.text("segment_id IS NOT NULL"),
        sqlite_where=sa.text("segment_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_run_queue_items_created_by_user_id",
        "conversation_run_queue_items",
        ["created_by_user_id"],
        postgresql_where=sa.text("created_by_user_id IS NOT NULL"),
        sqlite_where=sa.text("created_by_user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_run_queue_items_ready",
        "conversation_run_queue_items",
        ["id"],
        postgresql_where=sa.text("status = 'ready'"),
        sqlite_where=sa.text("status = 'ready'"),
    )
    op.create_index(
        "ix_conversation_run_queue_items_lease",
        "conversation_run_queue_items",
        ["started_at", "id"],
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
