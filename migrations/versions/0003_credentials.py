"""Passwords, second factors, sessions and refresh tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agentdb.types import JSONBCompat, UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_password_history()
    _create_user_mfa_methods()
    _create_user_recovery_codes()
    _create_user_sessions()
    _create_service_account_tokens()


def downgrade() -> None:
    """Drop the tables and the enumeration type."""
    op.drop_table("service_account_tokens")
    op.drop_table("user_sessions")
    op.drop_table("user_recovery_codes")
    op.drop_table("user_mfa_methods")
    op.drop_table("password_history")
    if op.get_context().dialect.name == "postgresql":
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="mfa_method_type")))


def _create_password_history() -> None:
    op.create_table(
        "password_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("password_pepper_version", sa.String(32), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_password_history"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_password_history_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_password_history_user_created", "password_history", ["user_id", "created_at"]
    )


def _create_user_mfa_methods() -> None:
    op.create_table(
        "user_mfa_methods",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "method_type", sa.Enum("totp", "webauthn", name="mfa_method_type"), nullable=False
        ),
        sa.Column("label", sa.String(64), nullable=True),
        sa.Column("secret_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("credential_json", JSONBCompat(), nullable=True),
        sa.Column("verified_at", UTCDateTime(), nullable=True),
        sa.Column("last_used_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.String(128), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_mfa_methods"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_mfa_methods_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("user_id", "label", name="uq_user_mfa_methods_user_id_label"),
    )
    op.create_index("ix_user_mfa_methods_user_type", "user_mfa_methods", ["user_id", "method_type"])


def _create_user_recovery_codes() -> None:
    op.create_table(
        "user_recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(128), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_recovery_codes"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_recovery_codes_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_user_recovery_codes_user", "user_recovery_codes", ["user_id"])
    op.create_index("ix_user_recovery_codes_used", "user_recovery_codes", ["used_at"])


def _create_user_sessions() -> None:
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("refresh_jti", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(256), nullable=True),
        sa.Column("ip_hash", sa.String(128), nullable=True),
        sa.Column("ip_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("ip_masked", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("client_platform", sa.String(64), nullable=True),
        sa.Column("client_browser", sa.String(64), nullable=True),
        sa.Column("client_device", sa.String(32), nullable=True),
        sa.Column("location_city", sa.String(128), nullable=True),
        sa.Column("location_region", sa.String(128), nullable=True),
        sa.Column("location_country", sa.String(64), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("last_seen_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.String(256), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user_sessions"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_sessions_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_user_sessions_tenant_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("refresh_jti", name="uq_user_sessions_refresh_jti"),
    )
    op.create_index("ix_user_sessions_user_last_seen", "user_sessions", ["user_id", "last_seen_at"])
    op.create_index(
        "ix_user_sessions_tenant_last_seen", "user_sessions", ["tenant_id", "last_seen_at"]
    )
    op.create_index("ix_user_sessions_refresh_jti", "user_sessions", ["refresh_jti"], unique=True)
    op.create_index("ix_user_sessions_fingerprint", "user_sessions", ["user_id", "fingerprint"])
    op.create_index(
        "ix_user_sessions_idle",
        "user_sessions",
        ["last_seen_at", "id"],
        postgresql_where=sa.text("revoked_at IS NULL"),
        sqlite_where=sa.text("revoked_at IS NULL"),
    )
    op.create_index(
        "ix_user_sessions_revoked",
        "user_sessions",
        ["revoked_at", "id"],
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
    )


def _create_service_account_tokens() -> None:
    op.create_table(
        "service_account_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("scope_key", sa.String(256), nullable=False),
        sa.Column("scopes", JSONBCompat(), nullable=False),
        sa.Column("refresh_token_hash", sa.Text(), nullable=False),
        sa.Column("refresh_jti", sa.String(64), nullable=False),
        sa.Column("signing_kid", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(128), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("issued_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.String(256), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_account_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["user_sessions.id"],
            name="fk_service_account_tokens_session_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint("refresh_jti", name="uq_service_account_tokens_refresh_jti"),
    )
    op.create_index(
        "ix_service_account_tokens_session_id", "service_account_tokens", ["session_id"]
    )
    op.create_index(
        "uq_service_account_tokens_active_service_accounts",
        "service_account_tokens",
        ["account", "tenant_id", "scope_key"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL AND account NOT LIKE 'user:%'"),
        sqlite_where=sa.text("revoked_at IS NULL AND account NOT LIKE 'user:%'"),
    )
    op.create_index(
        "uq_service_account_tokens_active_global",
        "service_account_tokens",
        ["account", "scope_key"],
        unique=True,
        postgresql_where=sa.text(
            "tenant_id IS NULL AND revoked_at IS NULL AND account NOT LIKE 'user:%'"
        ),
        sqlite_where=sa.text(
            "tenant_id IS NULL AND revoked_at IS NULL AND account NOT LIKE 'user:%'"
        ),
    )
    op.create_index(
        "ix_service_account_tokens_expires", "service_account_tokens", ["expires_at", "id"]
    )
    op.create_index(
        "ix_service_account_tokens_account", "service_account_tokens", ["account", "issued_at"]
    )
    op.create_index(
        "ix_service_account_tokens_tenant_issued",
        "service_account_tokens",
        ["tenant_id", "issued_at", "id"],
    )
