"""What only looks at a database makes none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.errors import DeadlineError, SchemaVersionError
from agentdb.migrate import State


@pytest.mark.parametrize(
    "look",
    [migrate.current, migrate.verdict, migrate.pending, partial(migrate.losses, revision="base")],
    ids=["current", "verdict", "pending", "losses"],
)
def test_a_mistyped_path_leaves_no_file(look: Callable[[str], object], tmp_path: Path) -> None:
    """A file of SQLite that is not there reads as an empty database, and is not made."""
    look(f"sqlite:///{tmp_path / 'mistyped.db'}")

    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_behind(tmp_path: Path) -> None:
    """It lacks every revision: a service does not start on it, and may wait for it."""
    url = f"sqlite:///{tmp_path / 'missing.db'}"

    assert migrate.verdict(url).state is State.BEHIND
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        migrate.require_current(url)
    with pytest.raises(DeadlineError):
        migrate.wait(url, timeout=0)
    assert list(tmp_path.iterdir()) == []
