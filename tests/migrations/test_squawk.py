"""The SQL that people are given to review holds to what keeps a filled database in service."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.migrate import Revision
from tests.databases import ROOT

FIRST, *LATER = migrate.history()


def findings(script: str, folder: Path) -> str:
    """Return what squawk has against a script."""
    file = folder / "migration.sql"
    file.write_text(script, encoding="utf-8")
    squawk = shutil.which("squawk", path=sysconfig.get_path("scripts"))
    assert squawk, "squawk comes with the extra `test`"
    command = [squawk, "--config", str(ROOT / ".squawk.toml"), "--reporter", "gcc", str(file)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


@pytest.mark.parametrize("step", LATER, ids=lambda step: step.revision)
def test_a_revision_passes_squawk(step: Revision, tmp_path: Path) -> None:
    """No table is rewritten or locked for long, and the script gives up on locks in time."""
    script = migrate.sql(revision=step.revision, start=step.down_revision or "base")

    assert findings(script, tmp_path) == ""


def test_squawk_finds_what_stops_writers(tmp_path: Path) -> None:
    """The check has teeth: an index on a table that may be full is found."""
    script = migrate.sql(revision=LATER[0].revision, start=FIRST.revision)
    script += "CREATE INDEX ix_tenant_accounts_name ON tenant_accounts (name);"

    assert "require-concurrent-index-creation" in findings(script, tmp_path)
