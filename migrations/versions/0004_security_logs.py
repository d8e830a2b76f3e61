"""Log-in events, security events and usage counters."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_user_login_events()
    _create_security_events()
    _create_usage_counters()


def downgrade() -> None:
    """Drop the tables and the enumeration type."""
    op.drop_table("usage_counters")
    op.drop_table("security_events")
    op.drop_table("user_login_events")
    if op.get_context().dialect.name == "postgresql":
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="usage_counter_granularity")))


def _create_user_login_events() -> None:
    op.create_table(
        "user_login_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("ip_hash", sa.String(128), nullable=False),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(128), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_login_events"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_login_events_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_user_login_events_tenant_id",
            ondelete="SET NULL",
        ),
    )
    op.create_index(
        "ix_user_login_events_user_created", "user_login_events", ["user_id", "created_at"]
    )
    op.create_index(
        "ix_user_login_events_tenant_created", "user_login_events", ["tenant_id", "created_at"]
    )
    op.create_index("ix_user_login_events_created", "user_login_events", ["created_at", "id"])


def _create_security_events() -> None:
    op.create_table(
        "security_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("event_type", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=True),
        sa.Column("ip_hash", sa.String(128), nullable=True),
        sa.Column("user_agent_hash", sa.String(128), nullable=True),
        sa.Column("request_id", sa.String(128), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_security_events_user_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_security_events_tenant_id",
            ondelete="SET NULL",
        ),
    )
    op.create_index("ix_security_events_user_created", "security_events", ["user_id", "created_at"])
    op.create_index(
        "ix_security_events_tenant_created", "security_events", ["tenant_id", "created_at"]
    )
    op.create_index("ix_security_events_type", "security_events", ["event_type"])
    op.create_index("ix_security_events_created", "security_events", ["created_at", "id"])


def _create_usage_counters() -> None:
    op.create_table(
        "usage_counters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column(
            "granularity", sa.Enum("day", "month", name="usage_counter_granularity"), nullable=False
        ),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("storage_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_counters"),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_usage_counters_tenant_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_usage_counters_user_id", ondelete="SET NULL"
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "user_id",
            "period_start",
            "granularity",
            name="uq_usage_counters_tenant_id_user_id_period_start_granularity",
        ),
    )
    op.create_index(
        "ix_usage_counters_tenant_period", "usage_counters", ["tenant_id", "period_start"]
    )
    op.create_index("ix_usage_counters_user_period", "usage_counters", ["user_id", "period_start"])
    op.create_index(
        "uq_usage_counters_tenant_period_null_user",
        "usage_counters",
        ["tenant_id", "period_start", "granularity"],
        unique=True,
        postgresql_where=sa.text("user_id IS NULL"),
        sqlite_where=sa.text("user_id IS NULL"),
    )
    op.create_index(
        "ix_usage_counters_day",
        "usage_counters",
        ["period_start", "id"],
        postgresql_where=sa.text("granularity = 'day'"),
        sqlite_where=sa.text("granularity = 'day'"),
    )
