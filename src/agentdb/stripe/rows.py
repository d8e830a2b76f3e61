"""What the verbs of Stripe's events return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentdb.stripe.models import StripeEvent, StripeEventDispatch


class Ingested(NamedTuple):
    """What became of a webhook delivery.

    Attributes:
        event: The event, stored now or before.
        created: Whether it is new.
        dispatches: The work of all its handlers, by the name of the handler.
    """

    event: StripeEvent
    created: bool
    dispatches: Sequence[StripeEventDispatch]


class Delivery(NamedTuple):
    """An event, and the work of one handler on it."""

    dispatch: StripeEventDispatch
    event: StripeEvent
