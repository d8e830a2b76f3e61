"""Tenants: the customers, and their settings."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agentdb.columns import Int, JsonDict, JsonList, Str64, Str128, Str512, UuidRef
from agentdb.orm import Base, Created, RandomKey, Tenancy, Timestamps, UuidKey


class TenantAccount(UuidKey, Created, Base):
    """A customer. Made by a sign-up or an operator; erased with all that belongs to it."""

    __tablename__ = "tenant_accounts"
    __tenancy__ = Tenancy.direct("id")
    __table_args__ = (UniqueConstraint("slug"),)

    slug: Mapped[Str64]
    name: Mapped[Str128]


class TenantSettings(RandomKey, Timestamps, Base):
    """What a tenant has configured; one row, made by the first write."""

    __tablename__ = "tenant_settings"
    __tenancy__ = Tenancy.direct()
    __table_args__ = (UniqueConstraint("tenant_id"),)

    tenant_id: Mapped[UuidRef] = mapped_column(ForeignKey("tenant_accounts.id", ondelete="CASCADE"))
    billing_contacts_json: Mapped[JsonList] = mapped_column(
        insert_default=list, default_factory=list
    )
    billing_webhook_url: Mapped[Str512 | None] = mapped_column(default=None)
    plan_metadata_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)
    flags_json: Mapped[JsonDict] = mapped_column(insert_default=dict, default_factory=dict)
    """Switches by name; those that begin with ``feature.`` are entitlements, set by the operator
    alone."""
    version: Mapped[Int] = mapped_column(default=1)
    """Counts the writes; a writer may name the version that it expects."""
