"""The values that columns of the conversation tables take."""

from enum import StrEnum


class ConversationStatus(StrEnum):
    """Whether a conversation is shown among the current ones."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class MemoryStrategy(StrEnum):
    """What an agent forgets of a long conversation."""

    NONE = "none"
    TRIM = "trim"
    SUMMARIZE = "summarize"
    COMPACT = "compact"


class MessageRole(StrEnum):
    """Who speaks in a message or run event."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class ConversationProvider(StrEnum):
    """Known model providers; any text of up to 32 characters is accepted."""

    OPENAI = "openai"


class RunItemType(StrEnum):
    """Known types of a run event; any text of up to 64 characters is accepted."""

    USER_MESSAGE = "user_message"
    ASSISTANT_MESSAGE = "assistant_message"
    SYSTEM_MESSAGE = "system_message"
    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    TOOL_CONTEXT = "tool_context"
    MCP_CALL = "mcp_call"
    REASONING = "reasoning"
    MEMORY_COMPACTION = "memory_compaction"
