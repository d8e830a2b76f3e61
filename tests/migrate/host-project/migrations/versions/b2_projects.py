"""Projects, which belong to the tenants of agentdb."""

import sqlalchemy as sa
from alembic import op
from planner.settings import AGENTDB_SCHEMA, PLANNER_SCHEMA

from agentdb import migrate

revision = "b2"
down_revision = "a1"
branch_labels = None
depends_on = None

OWN = f"{PLANNER_SCHEMA}." if PLANNER_SCHEMA else ""


def upgrade() -> None:
    """Bring the tables of agentdb up, and refer to them."""
    migrate.upgrade_in(op, to="0.1.0", schema=AGENTDB_SCHEMA)
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant_accounts.id"], "fk_projects_tenant_id", ondelete="CASCADE"
        ),
        schema=PLANNER_SCHEMA,
    )
    op.create_table(
        "project_members",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_project_members"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            [f"{OWN}projects.id"],
            "fk_project_members_project_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], "fk_project_members_user_id"),
        schema=PLANNER_SCHEMA,
    )


def downgrade() -> None:
    """Take the host's tables back; those of agentdb may hold what others need."""
    op.drop_table("project_members", schema=PLANNER_SCHEMA)
    op.drop_table("projects", schema=PLANNER_SCHEMA)
