"""Conditions that the server refuses by itself, before any statement that was sent behind them.

Where the condition holds, an expression takes its name for a number: the statement fails, and with
it the transaction. So the answer need not be awaited before the next statement is sent.
"""

from __future__ import annotations

BOUND_SYSTEM = "agentdb: policies bind the system"
UNBOUND_TENANT = "agentdb: policies bind no tenant"

_MESSAGES = {
    BOUND_SYSTEM: "row-level security hides all rows from this system unit: set platform_url, or"
    " AGENTDB_PLATFORM_DATABASE_URL, to a role with BYPASSRLS",
    UNBOUND_TENANT: 'rls="require" is set, and row-level security does not bind this connection:'
    " its role is a superuser, has BYPASSRLS or owns a table without FORCE, or a table has none;"
    " see `agentdb rls status`",
}


def refuse_where(condition: str, name: str) -> str:
    """Return an expression that fails where *condition* is true, and is 0 elsewhere.

    Args:
        condition: An SQL expression that is no constant: PostgreSQL would try a cast of one first.
        name: `BOUND_SYSTEM` or `UNBOUND_TENANT`: what the error quotes, in any language.
    """
    return f"(CASE WHEN {condition} THEN '{name}' ELSE '0' END)::int"


def refusal(message: str) -> str | None:
    """Return what the server's *message* means if one of these conditions was met."""
    return next((meant for name, meant in _MESSAGES.items() if name in message), None)
