"""The migrations as a later release has them: ours with revisions added at their end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.migrate import environment, revisions

_TEMPLATE = '''"""Revision {revision}."""

import sqlalchemy as sa
from alembic import op
{imports}

revision = "{revision}"
down_revision = "{down_revision}"
branch_labels = None
depends_on = None
phase = "{phase}"
release = "{release}"
atomic = {atomic}


def upgrade() -> None:
    {up}


def downgrade() -> None:
    {down}
'''


class LaterRelease:
    """A copy of the migrations to add to, and to install in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "migrations"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(revisions.script_location(), self.folder, ignore=ignored)
        self._last = migrate.heads()[0]

    def add(
        self,
        revision: str,
        up: str = "pass",
        down: str = "pass",
        *,
        phase: str = "expand",
        release: str = "9.0.0",
        atomic: bool = True,
        imports: str = "",
    ) -> None:
        """Add a revision after the last one."""
        facts = {"phase": phase, "release": release, "down_revision": self._last, "atomic": atomic}
        text = _TEMPLATE.format(revision=revision, up=up, down=down, imports=imports, **facts)
        (self.folder / "versions" / f"{revision}_later.py").write_text(text, encoding="utf-8")
        self._last = revision

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this process the later release."""
        install(self.folder, monkeypatch.setattr)


def install(folder: Path, assign: Callable[[object, str, object], None] = setattr) -> None:
    """Make this process take its migrations from *folder*, for good unless *assign* undoes it."""
    for module in (revisions, environment):
        assign(module, "script_location", lambda: folder)
