"""Events from Stripe, and their delivery to handlers."""

from agentdb.stripe.repository.dispatch import StripeEventDispatchRepository
from agentdb.stripe.repository.events import StripeEventRepository

__all__ = [
    "StripeEventDispatchRepository",
    "StripeEventRepository",
]
