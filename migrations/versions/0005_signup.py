"""Sign-up requests, invites and reservations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from agentdb.types import CITEXTCompat, JSONBCompat, UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
phase = "expand"
release = "0.1.0"


def upgrade() -> None:
    """Create the tables."""
    _create_tenant_signup_requests()
    _create_tenant_signup_invites()
    _create_tenant_signup_invite_reservations()


def downgrade() -> None:
    """Drop the tables and the enumeration types."""
    op.drop_table("tenant_signup_invite_reservations")
    op.drop_table("tenant_signup_invites")
    op.drop_table("tenant_signup_requests")
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            postgresql.DropEnumType(postgresql.ENUM(name="signup_invite_reservation_status"))
        )
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="tenant_signup_invite_status")))
        op.execute(postgresql.DropEnumType(postgresql.ENUM(name="tenant_signup_request_status")))


def _create_tenant_signup_requests() -> None:
    op.create_table(
        "tenant_signup_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", CITEXTCompat(), nullable=False),
        sa.Column("organization", sa.String(128), nullable=True),
        sa.Column("full_name", sa.String(128), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("pending", "approved", "rejected", name="tenant_signup_request_status"),
            nullable=False,
        ),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("decided_at", UTCDateTime(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("invite_token_hint", sa.String(16), nullable=True),
        sa.Column("ip_address", sa.String(64), nullable=True),
        sa.Column("user_agent", sa.String(512), nullable=True),
        sa.Column("honeypot_value", sa.String(64), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_signup_requests"),
        sa.ForeignKeyConstraint(
            ["decided_by"],
            ["users.id"],
            name="fk_tenant_signup_requests_decided_by",
            ondelete="SET NULL",
        ),
    )
    op.create_index("ix_tenant_signup_requests_status", "tenant_signup_requests", ["status"])
    op.create_index("ix_tenant_signup_requests_email", "tenant_signup_requests", ["email"])
    op.create_index(
        "ix_tenant_signup_requests_decided_by",
        "tenant_signup_requests",
        ["decided_by"],
        postgresql_where=sa.text("decided_by IS NOT NULL"),
        sqlite_where=sa.text("decided_by IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_requests_status_created",
        "tenant_signup_requests",
        ["status", "created_at", "id"],
    )
    op.create_index(
        "ix_tenant_signup_requests_pending_ip",
        "tenant_signup_requests",
        ["ip_address"],
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )


def _create_tenant_signup_invites() -> None:
    op.create_table(
        "tenant_signup_invites",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(128), nullable=False),
        sa.Column("token_hint", sa.String(16), nullable=False),
        sa.Column("invited_email", CITEXTCompat(), nullable=True),
        sa.Column("issuer_user_id", sa.Uuid(), nullable=True),
        sa.Column("issuer_tenant_id", sa.Uuid(), nullable=True),
        sa.Column("signup_request_id", sa.Uuid(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "active", "revoked", "expired", "exhausted", name="tenant_signup_invite_status"
            ),
            nullable=False,
        ),
        sa.Column("max_redemptions", sa.Integer(), nullable=False),
        sa.Column("redeemed_count", sa.Integer(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("last_redeemed_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("metadata_json", JSONBCompat(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_signup_invites"),
        sa.ForeignKeyConstraint(
            ["issuer_user_id"],
            ["users.id"],
            name="fk_tenant_signup_invites_issuer_user_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant_accounts.id"],
            name="fk_tenant_signup_invites_issuer_tenant_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["signup_request_id"],
            ["tenant_signup_requests.id"],
            name="fk_tenant_signup_invites_signup_request_id",
            ondelete="SET NULL",
        ),
        sa.UniqueConstraint("token_hash", name="uq_tenant_signup_invites_token_hash"),
    )
    op.create_index("ix_tenant_signup_invites_status", "tenant_signup_invites", ["status"])
    op.create_index(
        "ix_tenant_signup_invites_issuer_user_id",
        "tenant_signup_invites",
        ["issuer_user_id"],
        postgresql_where=sa.text("issuer_user_id IS NOT NULL"),
        sqlite_where=sa.text("issuer_user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_invites_issuer_tenant_id",
        "tenant_signup_invites",
        ["issuer_tenant_id"],
        postgresql_where=sa.text("issuer_tenant_id IS NOT NULL"),
        sqlite_where=sa.text("issuer_tenant_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_invites_signup_request_id",
        "tenant_signup_invites",
        ["signup_request_id"],
        postgresql_where=sa.text("signup_request_id IS NOT NULL"),
        sqlite_where=sa.text("signup_request_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_invites_due",
        "tenant_signup_invites",
        ["expires_at", "id"],
        postgresql_where=sa.text("status = 'active'"),
        sqlite_where=sa.text("status = 'active'"),
    )


def _create_tenant_signup_invite_reservations() -> None:
    op.create_table(
        "tenant_signup_invite_reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("invite_id", sa.Uuid(), nullable=False),
        sa.Column("email", CITEXTCompat(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "active",
                "released",
                "finalized",
                "expired",
                name="signup_invite_reservation_status",
            ),
            nullable=False,
        ),
        sa.Column("reserved_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("released_at", UTCDateTime(), nullable=True),
        sa.Column("released_reason", sa.Text(), nullable=True),
        sa.Column("finalized_at", UTCDateTime(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_signup_invite_reservations"),
        sa.ForeignKeyConstraint(
            ["invite_id"],
            ["tenant_signup_invites.id"],
            name="fk_tenant_signup_invite_reservations_invite_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant_accounts.id"],
            name="fk_tenant_signup_invite_reservations_tenant_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name="fk_tenant_signup_invite_reservations_user_id",
            ondelete="SET NULL",
        ),
    )
    op.create_index(
        "ix_signup_invite_reservations_status", "tenant_signup_invite_reservations", ["status"]
    )
    op.create_index(
        "ix_signup_invite_reservations_invite_status",
        "tenant_signup_invite_reservations",
        ["invite_id", "status"],
    )
    op.create_index(
        "ix_signup_invite_reservations_expires", "tenant_signup_invite_reservations", ["expires_at"]
    )
    op.create_index(
        "ix_tenant_signup_invite_reservations_tenant_id",
        "tenant_signup_invite_reservations",
        ["tenant_id"],
        postgresql_where=sa.text("tenant_id IS NOT NULL"),
        sqlite_where=sa.text("tenant_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_invite_reservations_user_id",
        "tenant_signup_invite_reservations",
        ["user_id"],
        postgresql_where=sa.text("user_id IS NOT NULL"),
        sqlite_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tenant_signup_invite_reservations_due",
        "tenant_signup_invite_reservations",
        ["expires_at", "id"],
        postgresql_where=sa.text("status = 'active'"),
        sqlite_where=sa.text("status = 'active'"),
    )
