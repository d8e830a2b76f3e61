"""Countries."""

import sqlalchemy as sa
from alembic import op
from planner.settings import PLANNER_SCHEMA

revision = "a1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "countries",
        sa.Column("code", sa.String(2), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_countries"),
        schema=PLANNER_SCHEMA,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("countries", schema=PLANNER_SCHEMA)
