"""Tenants and their settings."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS citext" + _beside_the_schemas())
    _create_tenant_accounts()
    _create_tenant_settings()


def downgrade() -> None:
    """Drop the tables; the extension belongs to the database, where others may use it."""
    op.drop_table("tenant_settings")
    op.drop_table("tenant_accounts")


def _beside_the_schemas() -> str:
    """Keep the extension out of a named schema: a database has one, and others may use it."""
    return " SCHEMA public" if op.get_context().version_table_schema else ""


def _create_tenant_accounts() -> None:
    op.create_table(
        "tenant_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_accounts"),
        sa.UniqueConstraint("slug", name="uq_tenant_accounts_slug"),
    )


def _create_tenant_settings() -> None:
    op.create_table(
        "tenant_settings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("billing_contacts_json", JSONBCompat(), nullable=False),
        sa.Column("billing_webhook_url", sa.String(512), nullable=True),
        sa.Column("plan_metadata_json", JSONBCompat(), nullable=False),
        sa.Column("flags_json", JSONBCompat(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_settings"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_tenant_settings_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("tenant_id", name="uq_tenant_settings_tenant_id"),
    )
