"""Vector stores of a tenant, their files, and the agents bound to them."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import Instant, Int, JsonDict, LongText, Str16, Str64, Str128, Str256, UuidRef
from agentdb.orm import Base, SoftDeleted, Tenancy, Timestamps, UuidKey, partial
from agentdb.vector_stores.values import VectorStoreFileStatus, VectorStoreStatus


class VectorStore(UuidKey, Timestamps, SoftDeleted, Base):
    """A vector store at the provider. Soft deletion renames it, which frees the name."""

    __tablename__ = "vector_stores"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("openai_id"),
        UniqueConstraint("tenant_id", "name"),
        Index("ix_vector_stores_tenant_status", "tenant_id", "status"),
        Index("ix_vector_stores_tenant_created", "tenant_id", "created_at"),
        partial(
            "ix_vector_stores_owner_user_id", "owner_user_id", where="owner_user_id IS NOT NULL"
        ),
        partial("ix_vector_stores_sync", "updated_at", "id", where="deleted_at IS NULL"),
    )

    openai_id: Mapped[Str64]
    """``pending:<id>`` until the provider has made the store."""
    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    owner_user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    name: Mapped[Str128]
    """Unique among deleted stores too, which is why deletion renames."""
    description: Mapped[LongText | None] = mapped_column(default=None)
    status: Mapped[Str16] = mapped_column(default=VectorStoreStatus.CREATING)
    usage_bytes: Mapped[Int] = mapped_column(default=0)
    """The sum over the live files, or what the provider last reported."""
    expires_after: Mapped[JsonDict | None] = mapped_column(default=None)
    """The provider's policy: anchor and days."""
    expires_at: Mapped[Instant | None] = mapped_column(default=None)
    last_active_at: Mapped[Instant | None] = mapped_column(default=None)
    metadata_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)


class VectorStoreFile(UuidKey, Timestamps, SoftDeleted, Base):
    """A file attached to a vector store. Detaching soft-deletes it, attaching again revives it."""

    __tablename__ = "vector_store_files"
    __tenancy__ = Tenancy.via("vector_store_id", "vector_stores")
    __table_args__ = (
        UniqueConstraint("vector_store_id", "openai_file_id"),
        Index("ix_vector_store_files_store_status", "vector_store_id", "status"),
        Index("ix_vector_store_files_file", "openai_file_id"),
    )

    openai_file_id: Mapped[Str64]
    vector_store_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("vector_stores.id", ondelete="CASCADE")
    )
    filename: Mapped[Str256]
    mime_type: Mapped[Str128 | None] = mapped_column(default=None)
    size_bytes: Mapped[Int | None] = mapped_column(default=None)
    usage_bytes: Mapped[Int] = mapped_column(default=0)
    """While it is 0, ``size_bytes`` counts."""
    status: Mapped[Str16] = mapped_column(default=VectorStoreFileStatus.INDEXING)
    attributes_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)
    chunking_json: Mapped[JsonDict | None] = mapped_column(default=None)
    last_error: Mapped[LongText | None] = mapped_column(default=None)


class AgentVectorStore(Base):
    """The vector store that a tenant's agent searches; one per agent."""

    __tablename__ = "agent_vector_stores"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("tenant_id", "agent_key"),
        Index("ix_agent_vector_stores_vector_store_id", "vector_store_id"),
    )

    agent_key: Mapped[Str64] = mapped_column(primary_key=True)
    vector_store_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("vector_stores.id", ondelete="CASCADE"), primary_key=True
    )
    tenant_id: Mapped[UuidRef] = mapped_column(
        ForeignKey("tenant_accounts.id", ondelete="CASCADE"), primary_key=True
    )
