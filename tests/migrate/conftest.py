"""What the tests of the host share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migrate.hosts import NEW, AddRevision
from tests.migrate.later import LaterRelease


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddRevision:
    """Make this process a release that has one more revision, with these statements."""

    def install(up: str) -> None:
        release = LaterRelease(tmp_path)
        release.add(NEW, up)
        release.install(monkeypatch)

    return install
