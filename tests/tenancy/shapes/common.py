"""What the shapes are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    column,
    select,
    table,
    true,
)
from sqlalchemy.orm import (
    Bundle,
    aliased,
    make_transient_to_detached,
)

from agentdb.models import (
    AgentConversation,
    AgentMessage,
    TenantAccount,
    User,
)
from tests.rows import table_of

C, M, T, U = AgentConversation, AgentMessage, TenantAccount, User
tc, tm, tt = table_of(C), table_of(M), table_of(T)
bundle: Any = Bundle
Shape = Callable[[UUID], Any]
"""Makes a statement from the id of a foreign conversation."""


def alias() -> Any:
    """Return another name of the conversations."""
    return aliased(C)


def name_of(conversation: UUID, of: Any = C) -> Any:
    """Return the name of a conversation as a scalar."""
    return select(of.display_name).where(of.id == conversation).scalar_subquery()


def unsynchronized(statement: Any) -> Any:
    """Leave the session as it is."""
    return statement.execution_options(synchronize_session=False)


def lightweight() -> Any:
    """Return a table that is known by its name alone."""
    return table("agent_conversations", column("id", tc.c.id.type), column("display_name"))


def conversation(key: UUID) -> AgentConversation:
    """Return a conversation that says it is stored."""
    row = C(id=key, conversation_key="", tenant_id=key, agent_entrypoint="")
    make_transient_to_detached(row)
    return row


def joined() -> Any:
    """Return a join of two classes."""
    from sqlalchemy.orm import join  # noqa: PLC0415

    return join(T, C, true())
