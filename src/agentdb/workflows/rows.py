"""What goes into the verbs of workflows, and what comes out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from agentdb.types import JsonObject
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep


class RunFields(TypedDict, total=False):
    """Optional columns of a new run."""

    trace_id: str | None
    request_message: str | None
    metadata_json: JsonObject | None


class RunOutput(TypedDict, total=False):
    """What a run ends with; what is not given stays as it is."""

    final_output_text: str | None
    final_output_structured: Any


class StepOutput(TypedDict, total=False):
    """What a step ends with; what is not given stays as it is."""

    response_id: str | None
    response_text: str | None
    structured_output: Any
    raw_payload: Any
    usage_input_tokens: int | None
    usage_output_tokens: int | None


class StepFields(StepOutput, total=False):
    """Optional columns of a new step; the clock stamps what has no instant."""

    stage_name: str | None
    parallel_group: str | None
    branch_index: int | None
    started_at: datetime
    ended_at: datetime | None


class RunWithSteps(NamedTuple):
    """A run and its steps, by their numbers."""

    run: WorkflowRun
    steps: tuple[WorkflowRunStep, ...]


class FoundRun(NamedTuple):
    """A run as a search shows it.

    Attributes:
        run: The run.
        step_count: Its steps that are not deleted.
        duration: How long it took; None while it runs.
    """

    run: WorkflowRun
    step_count: int
    duration: timedelta | None
