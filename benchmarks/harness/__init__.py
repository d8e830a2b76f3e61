"""What the workloads share: a durable server, cases in turns, and the record of what they took."""

from benchmarks.harness.bench import Bench, Series, peer_cases
from benchmarks.harness.cases import Case, Comparison, Role
from benchmarks.harness.clients import at_once, repeat
from benchmarks.harness.goals import Goal
from benchmarks.harness.servers import (
    CLIENTS,
    Place,
    Raw,
    connect,
    conversation_in,
    conversations_in,
    fresh_template,
    new_conversation,
    new_tenant,
    plain,
)

__all__ = [
    "CLIENTS",
    "Bench",
    "Case",
    "Comparison",
    "Goal",
    "Place",
    "Raw",
    "Role",
    "Series",
    "at_once",
    "connect",
    "conversation_in",
    "conversations_in",
    "fresh_template",
    "new_conversation",
    "new_tenant",
    "peer_cases",
    "plain",
    "repeat",
]
