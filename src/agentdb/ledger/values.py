"""The values that columns of the ledger tables take."""

from enum import StrEnum


class QueueItemStatus(StrEnum):
    """Where a queued run stands; ``ready`` is the head of its conversation, free to claim."""

    QUEUED = "queued"
    READY = "ready"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LedgerSchemaVersion(StrEnum):
    """Known frame schemas; any text of up to 32 characters is accepted."""

    PUBLIC_SSE_V1 = "public_sse_v1"


class LedgerEventKind(StrEnum):
    """Known kinds of a frame; any text of up to 64 characters is accepted."""

    LIFECYCLE = "lifecycle"
    AGENT_UPDATED = "agent.updated"
    MEMORY_CHECKPOINT = "memory.checkpoint"
    OUTPUT_ITEM_ADDED = "output_item.added"
    OUTPUT_ITEM_DONE = "output_item.done"
    MESSAGE_DELTA = "message.delta"
    MESSAGE_CITATION = "message.citation"
    REASONING_SUMMARY_PART_ADDED = "reasoning_summary.part.added"
    REASONING_SUMMARY_PART_DONE = "reasoning_summary.part.done"
    REASONING_SUMMARY_DELTA = "reasoning_summary.delta"
    REFUSAL_DELTA = "refusal.delta"
    REFUSAL_DONE = "refusal.done"
    TOOL_STATUS = "tool.status"
    TOOL_APPROVAL = "tool.approval"
    TOOL_ARGUMENTS_DELTA = "tool.arguments.delta"
    TOOL_ARGUMENTS_DONE = "tool.arguments.done"
    TOOL_CODE_DELTA = "tool.code.delta"
    TOOL_CODE_DONE = "tool.code.done"
    TOOL_OUTPUT = "tool.output"
    CHUNK_DELTA = "chunk.delta"
    CHUNK_DONE = "chunk.done"
    ERROR = "error"
    FINAL = "final"


TERMINAL_KINDS = frozenset({LedgerEventKind.ERROR, LedgerEventKind.FINAL})
"""Kinds of the frame that normally ends a stream; the ledger does not enforce it."""
