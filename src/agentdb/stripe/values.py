"""The values that columns of the Stripe tables take."""

from enum import StrEnum


class StripeProcessingOutcome(StrEnum):
    """Whether all handlers of an event are done."""

    RECEIVED = "received"
    PROCESSED = "processed"
    FAILED = "failed"


class StripeDispatchStatus(StrEnum):
    """Where one handler stands with one event; ``dead`` has no attempts left."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"
    COMPLETED = "completed"
    DEAD = "dead"


class StripeHandler(StrEnum):
    """Known handlers; any text of up to 64 characters is accepted."""

    BILLING_SYNC = "billing_sync"
    INVOICE_SYNC = "invoice_sync"
