"""Schemas of workflow runs and their steps."""

from agentdb.columns import Int, JsonAny, JsonDict, Str, Str64, Str255
from agentdb.schema import AwareInstant, CreateSchema, ReadSchema
from agentdb.workflows.values import WorkflowStatus


class WorkflowRunRead(ReadSchema):
    """A run of a workflow."""

    id: Str
    workflow_key: Str
    tenant_id: Str
    user_id: Str
    """``deleted-user`` once the user is deleted; so is ``deleted_by``."""
    status: Str
    started_at: AwareInstant
    ended_at: AwareInstant | None
    final_output_text: Str | None
    final_output_structured: JsonAny | None
    trace_id: Str | None
    request_message: Str | None
    conversation_id: Str255 | None
    """The key of the conversation, not its id."""
    metadata_json: JsonDict | None
    deleted_at: AwareInstant | None
    deleted_by: Str | None
    deleted_reason: Str | None


class WorkflowRunCreate(CreateSchema):
    """A run of a workflow, to be started."""

    id: Str64
    """As long as run events and frames can refer to."""
    workflow_key: Str
    tenant_id: Str
    """The id of the tenant as canonical text."""
    user_id: Str
    """The id of the user as canonical text."""
    status: WorkflowStatus
    started_at: AwareInstant
    ended_at: AwareInstant | None = None
    final_output_text: Str | None = None
    final_output_structured: JsonAny | None = None
    trace_id: Str | None = None
    request_message: Str | None = None
    conversation_id: Str255 | None = None
    """The key of the conversation, not its id."""
    metadata_json: JsonDict | None = None


class WorkflowRunStepRead(ReadSchema):
    """A step of a workflow run."""

    id: Str
    workflow_run_id: Str
    sequence_no: Int
    """From 0 within the run."""
    step_name: Str
    step_agent: Str
    status: Str
    started_at: AwareInstant
    ended_at: AwareInstant | None
    response_id: Str | None
    response_text: Str | None
    structured_output: JsonAny | None
    raw_payload: JsonAny | None
    usage_input_tokens: Int | None
    usage_output_tokens: Int | None
    stage_name: Str | None
    parallel_group: Str | None
    branch_index: Int | None
    deleted_at: AwareInstant | None
    deleted_by: Str | None
    deleted_reason: Str | None


class WorkflowRunStepCreate(CreateSchema):
    """A step of a workflow run, to be recorded."""

    id: Str
    workflow_run_id: Str
    sequence_no: Int
    step_name: Str
    step_agent: Str
    status: WorkflowStatus
    started_at: AwareInstant
    ended_at: AwareInstant | None = None
    response_id: Str | None = None
    response_text: Str | None = None
    structured_output: JsonAny | None = None
    raw_payload: JsonAny | None = None
    usage_input_tokens: Int | None = None
    usage_output_tokens: Int | None = None
    stage_name: Str | None = None
    parallel_group: Str | None = None
    branch_index: Int | None = None
