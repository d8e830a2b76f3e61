"""What goes into the log of security events."""

from __future__ import annotations

from typing import TypedDict

from agentdb.types import JsonObject


class SecurityEventFields(TypedDict, total=False):
    """Optional columns of a security event."""

    source: str | None
    ip_hash: str | None
    user_agent_hash: str | None
    request_id: str | None
    metadata_json: JsonObject | None
