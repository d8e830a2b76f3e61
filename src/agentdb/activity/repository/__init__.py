"""What happened in a tenant, and who has read it."""

from agentdb.activity.repository.events import ActivityEventRepository
from agentdb.activity.repository.last_seen import ActivityLastSeenRepository
from agentdb.activity.repository.receipts import ActivityEventReceiptRepository

__all__ = [
    "ActivityEventReceiptRepository",
    "ActivityEventRepository",
    "ActivityLastSeenRepository",
]
