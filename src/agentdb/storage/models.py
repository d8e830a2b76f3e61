"""Buckets and the objects in them."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import (
    BigInt,
    Bool,
    Instant,
    JsonDict,
    Str16,
    Str64,
    Str128,
    Str256,
    Str512,
    UuidRef,
)
from agentdb.orm import Base, SoftDeleted, Tenancy, Timestamps, UuidKey, partial
from agentdb.storage.values import StorageBucketStatus, StorageObjectStatus
from agentdb.types import Choice


class StorageBucket(UuidKey, Timestamps, SoftDeleted, Base):
    """A bucket at an object store. Soft-deleted once it is empty; revived when made again."""

    __tablename__ = "storage_buckets"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("tenant_id", "bucket_name"),
        Index("ix_storage_buckets_tenant_provider", "tenant_id", "provider"),
        partial(
            "ix_storage_buckets_default", "tenant_id", where="is_default AND deleted_at IS NULL"
        ),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    provider: Mapped[Str16]
    bucket_name: Mapped[Str128]
    region: Mapped[Str64 | None] = mapped_column(default=None)
    prefix: Mapped[Str128 | None] = mapped_column(default=None)
    is_default: Mapped[Bool] = mapped_column(default=True)
    """At most one live bucket per tenant, kept by the verbs: plain inserts may all say so."""
    status: Mapped[Str16] = mapped_column(default=StorageBucketStatus.READY)


class StorageObject(UuidKey, Timestamps, SoftDeleted, Base):
    """A stored object, made before its upload. Soft-deleted, then purged with its blob."""

    __tablename__ = "storage_objects"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (
        UniqueConstraint("bucket_id", "object_key"),
        Index("ix_storage_objects_tenant_status", "tenant_id", "status"),
        Index("ix_storage_objects_conversation", "conversation_id"),
        partial(
            "ix_storage_objects_created_by_user_id",
            "created_by_user_id",
            where="created_by_user_id IS NOT NULL",
        ),
        Index("ix_storage_objects_tenant_created", "tenant_id", "created_at", "id"),
        partial("ix_storage_objects_expires", "expires_at", "id", where="expires_at IS NOT NULL"),
        partial(
            "ix_storage_objects_pending",
            "created_at",
            "id",
            where="status IN ('pending', 'pending_upload')",
        ),
        partial("ix_storage_objects_deleted", "deleted_at", "id", where="deleted_at IS NOT NULL"),
    )

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    bucket_id: Mapped[UuidRef] = mapped_column(ForeignKey("storage_buckets.id", ondelete="CASCADE"))
    object_key: Mapped[Str512]
    filename: Mapped[Str256]
    mime_type: Mapped[Str128 | None] = mapped_column(default=None)
    size_bytes: Mapped[BigInt | None] = mapped_column(default=None)
    checksum_sha256: Mapped[Str64 | None] = mapped_column(default=None)
    status: Mapped[str] = mapped_column(
        Choice(tuple(StorageObjectStatus), 16), default=StorageObjectStatus.PENDING
    )
    created_by_user_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), default=None
    )
    agent_key: Mapped[Str64 | None] = mapped_column(default=None)
    """The agent that made the object."""
    conversation_id: Mapped[UuidRef | None] = mapped_column(
        ForeignKey("agent_conversations.id", ondelete="SET NULL"), default=None
    )
    metadata_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)
    expires_at: Mapped[Instant | None] = mapped_column(default=None)
    deleted_at: Mapped[Instant | None] = mapped_column(default=None)
