"""Users, their profiles, memberships, consents and preferences."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agentdb.types import CITEXTCompat, JSONBCompat, UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_users()
    _create_user_profiles()
    _create_tenant_user_memberships()
    _create_user_consents()
    _create_user_notification_preferences()


def downgrade() -> None:
    """Drop the tables and the enumeration types."""
    op.drop_table("user_notification_preferences")
    op.drop_table("user_consents")
    op.drop_table("tenant_user_memberships")
    op.drop_table("user_profiles")
    op.drop_table("users")
    if op.get_context().dialect.name == "postgresql":
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="tenant_role")))
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="platform_role")))
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="user_status")))


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", CITEXTCompat(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("password_pepper_version", sa.String(32), nullable=False),
        sa.Column(
            "status",
            sa.Enum("pending", "active", "disabled", "locked", name="user_status"),
            nullable=False,
        ),
        sa.Column(
            "platform_role", sa.Enum("platform_operator", name="platform_role"), nullable=True
        ),
        sa.Column("email_verified_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("ix_users_status", "users", ["status"])


def _create_user_profiles() -> None:
    op.create_table(
        "user_profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.String(128), nullable=True),
        sa.Column("given_name", sa.String(64), nullable=True),
        sa.Column("family_name", sa.String(64), nullable=True),
        sa.Column("avatar_url", sa.String(512), nullable=True),
        sa.Column("timezone", sa.String(64), nullable=True),
        sa.Column("locale", sa.String(32), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_profiles"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_profiles_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_user_profiles_user_id", "user_profiles", ["user_id"], unique=True)


def _create_tenant_user_memberships() -> None:
    op.create_table(
        "tenant_user_memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum("owner", "admin", "member", "viewer", name="tenant_role"),
            nullable=False,
        ),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_user_memberships"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_tenant_user_memberships_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_tenant_user_memberships_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "user_id", "tenant_id", name="uq_tenant_user_memberships_user_id_tenant_id"
        ),
    )
    op.create_index(
        "ix_tenant_user_memberships_tenant_role", "tenant_user_memberships", ["tenant_id", "role"]
    )
    op.create_index("ix_tenant_user_memberships_user", "tenant_user_memberships", ["user_id"])


def _create_user_consents() -> None:
    op.create_table(
        "user_consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("policy_key", sa.String(64), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("accepted_at", UTCDateTime(), nullable=False),
        sa.Column("ip_hash", sa.String(128), nullable=True),
        sa.Column("user_agent_hash", sa.String(128), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_consents"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_consents_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "user_id", "policy_key", "version", name="uq_user_consents_user_id_policy_key_version"
        ),
    )
    op.create_index("ix_user_consents_user_policy", "user_consents", ["user_id", "policy_key"])


def _create_user_notification_preferences() -> None:
    op.create_table(
        "user_notification_preferences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_notification_preferences"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_user_notification_preferences_user_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_user_notification_preferences_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "user_id",
            "tenant_id",
            "channel",
            "category",
            name="uq_user_notification_preferences_scope",
        ),
    )
    op.create_index(
        "ix_user_notification_preferences_user", "user_notification_preferences", ["user_id"]
    )
    op.create_index(
        "ix_user_notification_preferences_tenant", "user_notification_preferences", ["tenant_id"]
    )
    op.create_index(
        "uq_user_notification_preferences_null_tenant",
        "user_notification_preferences",
        ["user_id", "channel", "category"],
        unique=True,
        postgresql_where=sa.text("tenant_id IS NULL"),
        sqlite_where=sa.text("tenant_id IS NULL"),
    )
