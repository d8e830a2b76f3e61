"""Plans, subscriptions, invoices and metered usage."""

import sqlalchemy as sa
from alembic import op

from agentdb.types import JSONBCompat, RowId, UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_billing_plans()
    _create_plan_features()
    _create_tenant_subscriptions()
    _create_subscription_invoices()
    _create_subscription_usage()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("subscription_usage")
    op.drop_table("subscription_invoices")
    op.drop_table("tenant_subscriptions")
    op.drop_table("plan_features")
    op.drop_table("billing_plans")


def _create_billing_plans() -> None:
    op.create_table(
        "billing_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("interval", sa.String(16), nullable=False),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("price_cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("trial_days", sa.Integer(), nullable=True),
        sa.Column("seat_included", sa.Integer(), nullable=True),
        sa.Column("feature_toggles", JSONBCompat(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_plans"),
        sa.UniqueConstraint("code", name="uq_billing_plans_code"),
    )


def _create_plan_features() -> None:
    op.create_table(
        "plan_features",
        sa.Column("id", RowId(), autoincrement=True, nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("feature_key", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(128), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("hard_limit", sa.Integer(), nullable=True),
        sa.Column("soft_limit", sa.Integer(), nullable=True),
        sa.Column("is_metered", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plan_features"),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["billing_plans.id"], name="fk_plan_features_plan_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("plan_id", "feature_key", name="uq_plan_features_plan_id_feature_key"),
        sqlite_autoincrement=True,
    )


def _create_tenant_subscriptions() -> None:
    op.create_table(
        "tenant_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("auto_renew", sa.Boolean(), nullable=False),
        sa.Column("billing_email", sa.String(256), nullable=True),
        sa.Column("processor", sa.String(32), nullable=True),
        sa.Column("processor_customer_id", sa.String(128), nullable=True),
        sa.Column("processor_subscription_id", sa.String(128), nullable=True),
        sa.Column("starts_at", UTCDateTime(), nullable=False),
        sa.Column("current_period_start", UTCDateTime(), nullable=True),
        sa.Column("current_period_end", UTCDateTime(), nullable=True),
        sa.Column("trial_ends_at", UTCDateTime(), nullable=True),
        sa.Column("cancel_at", UTCDateTime(), nullable=True),
        sa.Column("seat_count", sa.Integer(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_subscriptions"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_tenant_subscriptions_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["billing_plans.id"],
            name="fk_tenant_subscriptions_plan_id",
            ondelete="RESTRICT",
        ),
    )
    op.create_index(
        "ix_tenant_subscriptions_tenant_status", "tenant_subscriptions", ["tenant_id", "status"]
    )
    op.create_index("ix_tenant_subscriptions_plan_id", "tenant_subscriptions", ["plan_id"])
    op.create_index(
        "ix_tenant_subscriptions_processor",
        "tenant_subscriptions",
        ["processor_subscription_id"],
        postgresql_where=sa.text("processor_subscription_id IS NOT NULL"),
        sqlite_where=sa.text("processor_subscription_id IS NOT NULL"),
    )


def _create_subscription_invoices() -> None:
    op.create_table(
        "subscription_invoices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("period_start", UTCDateTime(), nullable=False),
        sa.Column("period_end", UTCDateTime(), nullable=False),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("external_invoice_id", sa.String(128), nullable=True),
        sa.Column("hosted_invoice_url", sa.String(256), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscription_invoices"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["tenant_subscriptions.id"],
            name="fk_subscription_invoices_subscription_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_subscription_invoices_subscription_period",
        "subscription_invoices",
        ["subscription_id", "period_start"],
    )
    op.create_index(
        "ix_subscription_invoices_external",
        "subscription_invoices",
        ["external_invoice_id"],
        postgresql_where=sa.text("external_invoice_id IS NOT NULL"),
        sqlite_where=sa.text("external_invoice_id IS NOT NULL"),
    )


def _create_subscription_usage() -> None:
    op.create_table(
        "subscription_usage",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("feature_key", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("period_start", UTCDateTime(), nullable=False),
        sa.Column("period_end", UTCDateTime(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reported_at", UTCDateTime(), nullable=False),
        sa.Column("external_event_id", sa.String(128), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_subscription_usage"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["tenant_subscriptions.id"],
            name="fk_subscription_usage_subscription_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "subscription_id",
            "feature_key",
            "period_start",
            name="uq_subscription_usage_subscription_id_feature_key_period_start",
        ),
    )
    op.create_index(
        "ix_subscription_usage_external_event",
        "subscription_usage",
        ["external_event_id", "subscription_id", "feature_key"],
        postgresql_where=sa.text("external_event_id IS NOT NULL"),
        sqlite_where=sa.text("external_event_id IS NOT NULL"),
    )
