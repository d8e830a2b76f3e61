"""Conversations with agents: messages, summaries, run events, usage."""

from agentdb.conversations.repository.conversations import AgentConversationRepository
from agentdb.conversations.repository.messages import AgentMessageRepository
from agentdb.conversations.repository.run_events import AgentRunEventRepository
from agentdb.conversations.repository.run_usage import AgentRunUsageRepository
from agentdb.conversations.repository.summaries import ConversationSummaryRepository

__all__ = [
    "AgentConversationRepository",
    "AgentMessageRepository",
    "AgentRunEventRepository",
    "AgentRunUsageRepository",
    "ConversationSummaryRepository",
]
