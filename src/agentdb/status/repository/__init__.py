"""Subscriptions to the status page."""

from agentdb.status.repository.subscriptions import StatusSubscriptionRepository

__all__ = ["StatusSubscriptionRepository"]
