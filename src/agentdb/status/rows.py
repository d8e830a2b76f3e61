"""What goes into the verbs of status subscriptions."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from agentdb.types import JsonObject


class SubscriptionFields(TypedDict, total=False):
    """Optional columns of a subscription."""

    metadata_json: JsonObject
    challenge_token_hash: str | None
    webhook_secret_encrypted: bytes | None
    unsubscribe_token_hash: str | None
    unsubscribe_token_encrypted: bytes | None
    last_challenge_sent_at: datetime | None
