"""The project's migrations with one more at their end, for what no revision of ours does yet."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentdb.migrate import environment, revisions
from tests.databases import ROOT

NEW = "9000"
HEAD = revisions.heads()[0]

_TEMPLATE = '''"""A revision of the tests."""

import sqlalchemy as sa
from alembic import op

{imports}

revision = "{new}"
down_revision = "{head}"
branch_labels = None
depends_on = None
phase = "expand"
release = "99.0"
{atomic}

def upgrade() -> None:
    {up}


def downgrade() -> None:
    {down}
'''


def with_revision(
    folder: Path, up: str, down: str = "pass", *, imports: str = "", atomic: bool = True
) -> Path:
    """Copy the migrations into *folder* and add a revision to them.

    Args:
        folder: A folder of the test.
        up: The statements of its upgrade, indented by four spaces from the second line on.
        down: Those of its downgrade.
        imports: Further imports.
        atomic: Whether it may share a transaction.

    Returns:
        The folder to hand to `use_scripts`.
    """
    copy = folder / "migrations"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "migrations", copy, ignore=ignored)
    said = "" if atomic else "atomic = False\n"
    text = _TEMPLATE.format(
        new=NEW, head=HEAD, up=up, down=down, imports=imports, atomic=said
    )
    (copy / "versions" / f"{NEW}_of_the_tests.py").write_text(text, encoding="utf-8")
    return copy


def use_scripts(folder: Path) -> None:
    """Make this process take its migrations from *folder*."""
    for module in (revisions, environment):
        vars(module)["script_location"] = lambda: folder
