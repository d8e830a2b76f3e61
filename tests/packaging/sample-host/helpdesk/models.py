"""The tables of the host."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from agentdb.models import AgentConversation, TenantAccount


class Base(DeclarativeBase):
    """The metadata of the host, which is apart from the one of agentdb."""


class Ticket(Base):
    """What a customer wants done, and the conversation in which it is."""

    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("tenant_id", "title"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(TenantAccount.id, ondelete="CASCADE"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey(AgentConversation.id))
    title: Mapped[str]
