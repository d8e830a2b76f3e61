"""Messages, which need the ledger, and run events, which need the workflows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agentdb.types import JSONBCompat, RowId, UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_agent_messages()
    _create_agent_run_events()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("agent_run_events")
    op.drop_table("agent_messages")


def _create_agent_messages() -> None:
    op.create_table(
        "agent_messages",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("agent_type", sa.String(64), nullable=True),
        sa.Column("content", JSONBCompat(), nullable=False),
        sa.Column("attachments", JSONBCompat(), nullable=True),
        sa.Column("tool_name", sa.String(128), nullable=True),
        sa.Column("tool_call_id", sa.String(64), nullable=True),
        sa.Column("token_count_prompt", sa.Integer(), nullable=True),
        sa.Column("token_count_completion", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("content_checksum", sa.String(32), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=True),
        *_search_column(),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_messages"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_agent_messages_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["conversation_ledger_segments.id"],
            name="fk_agent_messages_segment_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "conversation_id", "position", name="uq_agent_messages_conversation_id_position"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_agent_messages_conversation_created",
        "agent_messages",
        ["conversation_id", "created_at"],
    )
    op.create_index("ix_agent_messages_segment_id", "agent_messages", ["segment_id", "position"])
    if _on_postgresql():
        op.create_index(
            "ix_agent_messages_text_tsv", "agent_messages", ["text_tsv"], postgresql_using="gin"
        )


def _search_column() -> list[sa.Column[str]]:
    """Return the generated column of PostgreSQL; SQLite searches otherwise and has none."""
    words = "to_tsvector('english', left(coalesce(content->>'text', ''), 100000))"
    column = sa.Column(
        "text_tsv", postgresql.TSVECTOR(), sa.Computed(words, persisted=True), nullable=True
    )
    return [column] if _on_postgresql() else []


def _create_agent_run_events() -> None:
    op.create_table(
        "agent_run_events",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("workflow_run_id", sa.String(64), nullable=True),
        sa.Column("sequence_no", sa.Integer(), nullable=False),
        sa.Column("response_id", sa.String(128), nullable=True),
        sa.Column("run_item_type", sa.String(64), nullable=False),
        sa.Column("run_item_name", sa.String(128), nullable=True),
        sa.Column("role", sa.String(16), nullable=True),
        sa.Column("agent", sa.String(64), nullable=True),
        sa.Column("tool_call_id", sa.String(128), nullable=True),
        sa.Column("tool_name", sa.String(128), nullable=True),
        sa.Column("model", sa.String(64), nullable=True),
        sa.Column("content_text", sa.String(), nullable=True),
        sa.Column("reasoning_text", sa.String(), nullable=True),
        sa.Column("call_arguments", JSONBCompat(), nullable=True),
        sa.Column("call_output", JSONBCompat(), nullable=True),
        sa.Column("attachments", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("ingested_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_run_events"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_agent_run_events_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workflow_run_id"],
            ["workflow_runs.id"],
            name="fk_agent_run_events_workflow_run_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint(
            "conversation_id", "sequence_no", name="uq_agent_run_events_conversation_id_sequence_no"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_agent_run_events_conv_seq", "agent_run_events", ["conversation_id", "sequence_no"]
    )
    op.create_index("ix_agent_run_events_toolcall", "agent_run_events", ["tool_call_id"])
    op.create_index(
        "ix_agent_run_events_conv_type_seq",
        "agent_run_events",
        ["conversation_id", "run_item_type", "sequence_no"],
    )
    op.create_index("ix_agent_run_events_workflow_run", "agent_run_events", ["workflow_run_id"])
    op.create_index(
        "ix_agent_run_events_workflow_run_seq",
        "agent_run_events",
        ["workflow_run_id", "sequence_no"],
    )
    op.create_index("ix_agent_run_events_ingested", "agent_run_events", ["ingested_at", "id"])


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
