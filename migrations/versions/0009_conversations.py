"""Conversations, summaries and run usage."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, RowId, UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_agent_conversations()
    _create_conversation_summaries()
    _create_agent_run_usage()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("agent_run_usage")
    op.drop_table("conversation_summaries")
    op.drop_table("agent_conversations")


def _create_agent_conversations() -> None:
    op.create_table(
        "agent_conversations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_key", sa.String(255), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("agent_entrypoint", sa.String(64), nullable=False),
        sa.Column("active_agent", sa.String(64), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("total_tokens_prompt", sa.Integer(), nullable=False),
        sa.Column("total_tokens_completion", sa.Integer(), nullable=False),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=False),
        sa.Column("total_cached_input_tokens", sa.Integer(), nullable=False),
        sa.Column("total_requests", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(32), nullable=True),
        sa.Column("provider_conversation_id", sa.String(128), nullable=True),
        sa.Column("handoff_count", sa.Integer(), nullable=False),
        sa.Column("source_channel", sa.String(32), nullable=True),
        sa.Column("topic_hint", sa.String(256), nullable=True),
        sa.Column("display_name", sa.String(128), nullable=True),
        sa.Column("title_generated_at", UTCDateTime(), nullable=True),
        sa.Column("memory_strategy", sa.String(16), nullable=True),
        sa.Column("memory_max_turns", sa.Integer(), nullable=True),
        sa.Column("memory_keep_last_turns", sa.Integer(), nullable=True),
        sa.Column("memory_compact_trigger_turns", sa.Integer(), nullable=True),
        sa.Column("memory_compact_keep", sa.Integer(), nullable=True),
        sa.Column("memory_clear_tool_inputs", sa.Boolean(), nullable=True),
        sa.Column("memory_injection", sa.Boolean(), nullable=True),
        sa.Column("last_message_at", UTCDateTime(), nullable=True),
        sa.Column("last_run_id", sa.String(64), nullable=True),
        sa.Column("client_version", sa.String(32), nullable=True),
        sa.Column("sdk_session_id", sa.String(255), nullable=True),
        sa.Column("session_cursor", sa.String(128), nullable=True),
        sa.Column("last_session_sync_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_conversations"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_agent_conversations_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_agent_conversations_user_id", ondelete="SET NULL"
        ),
        sa.UniqueConstraint("conversation_key", name="uq_agent_conversations_conversation_key"),
        sa.UniqueConstraint(
            "provider_conversation_id", name="uq_agent_conversations_provider_conversation_id"
        ),
    )
    op.create_index(
        "ix_agent_conversations_tenant_updated", "agent_conversations", ["tenant_id", "updated_at"]
    )
    op.create_index(
        "ix_agent_conversations_tenant_status", "agent_conversations", ["tenant_id", "status"]
    )
    op.create_index(
        "ix_agent_conversations_user_id",
        "agent_conversations",
        ["user_id", "updated_at", "id"],
        postgresql_where=sa.text("user_id IS NOT NULL"),
        sqlite_where=sa.text("user_id IS NOT NULL"),
    )


def _create_conversation_summaries() -> None:
    op.create_table(
        "conversation_summaries",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_key", sa.String(64), nullable=True),
        sa.Column("summary_text", sa.Text(), nullable=False),
        sa.Column("summary_model", sa.String(64), nullable=True),
        sa.Column("summary_length_tokens", sa.Integer(), nullable=True),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("version", sa.String(32), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_summaries"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_conversation_summaries_conversation_id",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_conversation_summaries_conversation_id",
        "conversation_summaries",
        ["conversation_id", "agent_key", "created_at", "id"],
    )
    op.create_index(
        "ix_conversation_summaries_expires",
        "conversation_summaries",
        ["expires_at", "id"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )


def _create_agent_run_usage() -> None:
    op.create_table(
        "agent_run_usage",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.String(128), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.Column("agent_key", sa.String(64), nullable=True),
        sa.Column("provider", sa.String(32), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("total_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_output_tokens", sa.Integer(), nullable=True),
        sa.Column("request_usage_entries", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_run_usage"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.id"],
            name="fk_agent_run_usage_conversation_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("response_id", name="uq_agent_run_usage_response_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_agent_run_usage_conversation_created",
        "agent_run_usage",
        ["conversation_id", "created_at"],
    )
    op.create_index(
        "ix_agent_run_usage_tenant_created", "agent_run_usage", ["tenant_id", "created_at"]
    )
    op.create_index("ix_agent_run_usage_response", "agent_run_usage", ["response_id"])
