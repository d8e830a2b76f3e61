"""Workflow runs and steps."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_workflow_runs()
    _create_workflow_run_steps()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("workflow_run_steps")
    op.drop_table("workflow_runs")


def _create_workflow_runs() -> None:
    op.create_table(
        "workflow_runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workflow_key", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("final_output_text", sa.String(), nullable=True),
        sa.Column("final_output_structured", JSONBCompat(), nullable=True),
        sa.Column("trace_id", sa.String(), nullable=True),
        sa.Column("request_message", sa.String(), nullable=True),
        sa.Column("conversation_id", sa.String(255), nullable=True),
        sa.Column("metadata", JSONBCompat(), nullable=True),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(), nullable=True),
        sa.Column("deleted_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_runs"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agent_conversations.conversation_key"],
            name="fk_workflow_runs_conversation_id",
            ondelete="SET NULL",
        ),
    )
    op.create_index("ix_workflow_runs_workflow_key", "workflow_runs", ["workflow_key"])
    op.create_index("ix_workflow_runs_tenant_id", "workflow_runs", ["tenant_id"])
    op.create_index("ix_workflow_runs_user_id", "workflow_runs", ["user_id"])
    op.create_index("ix_workflow_runs_conversation_id", "workflow_runs", ["conversation_id"])
    op.create_index("ix_workflow_runs_deleted_at", "workflow_runs", ["deleted_at"])
    op.create_index(
        "ix_workflow_runs_tenant_started", "workflow_runs", ["tenant_id", "started_at", "id"]
    )
    op.create_index(
        "ix_workflow_runs_running",
        "workflow_runs",
        ["started_at", "id"],
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )


def _create_workflow_run_steps() -> None:
    op.create_table(
        "workflow_run_steps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workflow_run_id", sa.String(), nullable=False),
        sa.Column("sequence_no", sa.Integer(), nullable=False),
        sa.Column("step_name", sa.String(), nullable=False),
        sa.Column("step_agent", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("response_id", sa.String(), nullable=True),
        sa.Column("response_text", sa.String(), nullable=True),
        sa.Column("structured_output", JSONBCompat(), nullable=True),
        sa.Column("raw_payload", JSONBCompat(), nullable=True),
        sa.Column("usage_input_tokens", sa.Integer(), nullable=True),
        sa.Column("usage_output_tokens", sa.Integer(), nullable=True),
        sa.Column("stage_name", sa.String(), nullable=True),
        sa.Column("parallel_group", sa.String(), nullable=True),
        sa.Column("branch_index", sa.Integer(), nullable=True),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(), nullable=True),
        sa.Column("deleted_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_run_steps"),
    )
    op.create_index(
        "ix_workflow_run_steps_workflow_run_id", "workflow_run_steps", ["workflow_run_id"]
    )
    op.create_index("ix_workflow_run_steps_deleted_at", "workflow_run_steps", ["deleted_at"])
    op.create_index(
        "ix_workflow_run_steps_run_seq",
        "workflow_run_steps",
        ["workflow_run_id", "sequence_no", "id"],
    )
