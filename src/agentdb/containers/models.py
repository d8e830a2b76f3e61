"""Code containers of a tenant, and the agents bound to them."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import Instant, JsonDict, Str32, Str64, Str128, UuidRef
from agentdb.containers.values import ContainerMemoryLimit, ContainerStatus
from agentdb.orm import Base, SoftDeleted, Tenancy, Timestamps, UuidKey, partial
from agentdb.types import Choice


class Container(UuidKey, Timestamps, SoftDeleted, Base):
    """A code container at the provider. Soft-deleted, then purged; its name is free at once."""

    __tablename__ = "containers"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("openai_id"),
        UniqueConstraint("tenant_id", "name", "deleted_at"),
        Index("ix_containers_tenant_status", "tenant_id", "status"),
        Index("ix_containers_tenant_created", "tenant_id", "created_at"),
        partial(
            "uq_containers_live_name", "tenant_id", "name", where="deleted_at IS NULL", unique=True
        ),
        partial("ix_containers_owner_user_id", "owner_user_id", where="owner_user_id IS NOT NULL"),
    )

    openai_id: Mapped[Str64]
    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    owner_user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    name: Mapped[Str128]
    memory_limit: Mapped[str] = mapped_column(
        Choice(tuple(ContainerMemoryLimit), 8), default=ContainerMemoryLimit.GB_1
    )
    status: Mapped[Str32] = mapped_column(default=ContainerStatus.RUNNING)
    expires_after: Mapped[JsonDict | None] = mapped_column(default=None)
    """The provider's policy: anchor and minutes."""
    last_active_at: Mapped[Instant | None] = mapped_column(default=None)
    """Never moves back."""
    metadata_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)


class AgentContainer(Base):
    """The container that a tenant's agent uses; one per agent."""

    __tablename__ = "agent_containers"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        Index("uq_agent_containers_tenant_agent", "tenant_id", "agent_key", unique=True),
        Index("ix_agent_containers_container_id", "container_id"),
    )

    agent_key: Mapped[Str64] = mapped_column(primary_key=True)
    container_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("containers.id", ondelete="CASCADE"), primary_key=True
    )
    tenant_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="CASCADE"), primary_key=True
    )
