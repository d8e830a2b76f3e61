"""Workflow runs and their steps."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import Instant, Int, JsonAny, JsonDict, Str, Str255
from agentdb.orm import Base, SoftDeleted, Tenancy, partial
from agentdb.types import Choice
from agentdb.workflows.values import WorkflowStatus


class WorkflowRun(SoftDeleted, Base):
    """A run of a workflow. Ends once; soft-deleted with its steps.

    Keys are text: the ids of tenant and user in canonical form.
    """

    __tablename__ = "workflow_runs"
    __tenancy__ = Tenancy.direct(as_text=True)
    __table_args__ = (
        Index("ix_workflow_runs_workflow_key", "workflow_key"),
        Index("ix_workflow_runs_tenant_id", "tenant_id"),
        Index("ix_workflow_runs_user_id", "user_id"),
        Index("ix_workflow_runs_conversation_id", "conversation_id"),
        Index("ix_workflow_runs_deleted_at", "deleted_at"),
        Index("ix_workflow_runs_tenant_started", "tenant_id", "started_at", "id"),
        partial("ix_workflow_runs_running", "started_at", "id", where="status = 'running'"),
    )

    id: Mapped[Str] = mapped_column(primary_key=True)
    """Up to 64 characters, which is what run events refer with."""
    workflow_key: Mapped[Str]
    tenant_id: Mapped[Str]
    user_id: Mapped[Str]
    """``deleted-user`` once the user is deleted; so is ``deleted_by``."""
    status: Mapped[str] = mapped_column(Choice(tuple(WorkflowStatus)))
    started_at: Mapped[Instant]
    ended_at: Mapped[Instant | None] = mapped_column(default=None)
    final_output_text: Mapped[Str | None] = mapped_column(default=None)
    final_output_structured: Mapped[JsonAny | None] = mapped_column(default=None)
    trace_id: Mapped[Str | None] = mapped_column(default=None)
    request_message: Mapped[Str | None] = mapped_column(default=None)
    conversation_id: Mapped[Str255 | None] = mapped_column(
        ForeignKey("agent_conversations.conversation_key", ondelete="SET NULL"), default=None
    )
    """Holds the key of the conversation, not its id."""
    metadata_json: Mapped[JsonDict | None] = mapped_column("metadata", default=None)
    deleted_by: Mapped[Str | None] = mapped_column(default=None, sort_order=101)
    deleted_reason: Mapped[Str | None] = mapped_column(default=None, sort_order=101)


class WorkflowRunStep(SoftDeleted, Base):
    """A step of a workflow run. Ends once; soft-deleted with its run."""

    __tablename__ = "workflow_run_steps"
    __tenancy__ = Tenancy.via("workflow_run_id", "workflow_runs")
    __table_args__ = (
        Index("ix_workflow_run_steps_workflow_run_id", "workflow_run_id"),
        Index("ix_workflow_run_steps_deleted_at", "deleted_at"),
        Index("ix_workflow_run_steps_run_seq", "workflow_run_id", "sequence_no", "id"),
    )

    id: Mapped[Str] = mapped_column(primary_key=True)
    workflow_run_id: Mapped[Str]
    """No foreign key: the verbs delete steps with their run."""
    sequence_no: Mapped[Int]
    """From 0 within the run."""
    step_name: Mapped[Str]
    step_agent: Mapped[Str]
    status: Mapped[str] = mapped_column(Choice(tuple(WorkflowStatus)))
    started_at: Mapped[Instant]
    ended_at: Mapped[Instant | None] = mapped_column(default=None)
    response_id: Mapped[Str | None] = mapped_column(default=None)
    response_text: Mapped[Str | None] = mapped_column(default=None)
    structured_output: Mapped[JsonAny | None] = mapped_column(default=None)
    raw_payload: Mapped[JsonAny | None] = mapped_column(default=None)
    usage_input_tokens: Mapped[Int | None] = mapped_column(default=None)
    usage_output_tokens: Mapped[Int | None] = mapped_column(default=None)
    stage_name: Mapped[Str | None] = mapped_column(default=None)
    parallel_group: Mapped[Str | None] = mapped_column(default=None)
    branch_index: Mapped[Int | None] = mapped_column(default=None)
    deleted_by: Mapped[Str | None] = mapped_column(default=None, sort_order=101)
    deleted_reason: Mapped[Str | None] = mapped_column(default=None, sort_order=101)
