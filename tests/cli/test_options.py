"""Options that several commands share: before the name, after it, and in the environment."""

from pathlib import Path

import click
import pytest

from agentdb import migrate
from tests.cli.command import agentdb, document
from tests.cli.command_page import ALL

HEAD = migrate.heads()[0]

PER_CALL = {
    "--accept",
    "--after",
    "--all",
    "--app",
    "--apply",
    "--create",
    "--delete-orphan-users",
    "--domain",
    "--dry-run",
    "--force",
    "--from",
    "--handler",
    "--limit",
    "--list",
    "--max-batches",
    "--mermaid",
    "--older-than",
    "--outcome",
    "--owner",
    "--payload",
    "--platform",
    "--repair",
    "--require",
    "--sql",
    "--sse",
    "--table",
    "--to",
    "--type",
    "--unredacted",
    "--yes",
    "-o",
}
"""What is decided by each call: a variable that somebody forgot must not delete or create."""

OPTIONS = [
    pytest.param(name, option, id=f"{name} {option.opts[0]}")
    for name, command in sorted(ALL.items())
    for option in command.params
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_each_setting_has_an_environment_variable(name: str, option: click.Option) -> None:
    """What holds for all calls of a deployment is configured once."""
    flag = option.opts[0]

    if flag in PER_CALL or name == "demo":
        assert option.envvar is None
    else:
        assert isinstance(option.envvar, str)
        assert option.envvar.startswith("AGENTDB_")


def test_a_flag_means_the_same_everywhere() -> None:
    """Commands that have an option of one name have one variable and one kind of value for it."""
    meanings = {
        (option.opts[0], str(option.envvar), str(option.type), option.is_flag)
        for name, command in ALL.items()
        for option in command.params
        if isinstance(option, click.Option) and name != "demo"
    }

    assert len(meanings) == len({meaning[0] for meaning in meanings})


def test_the_url_may_stand_before_or_after_the_command(tmp_path: Path) -> None:
    """The URL after the command wins over the one before it, and that over the environment."""
    before, after = f"sqlite:///{tmp_path}/before.db", f"sqlite:///{tmp_path}/after.db"
    configured = {"AGENTDB_DATABASE_URL": f"sqlite:///{tmp_path}/configured.db"}

    assert agentdb("upgrade", **configured).exit_code == 0
    assert agentdb("upgrade", url=before, **configured).exit_code == 0
    assert agentdb("upgrade", "--url", after, url=before, **configured).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "after.db",
        "before.db",
        "configured.db",
    ]


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("way", ["before", "after", "environment"])
def test_the_schema_holds_everything(way: str, agentdb_empty_url: str) -> None:
    """Migrations and streams work in the schema that is named, and nothing is made outside."""
    before = ["--schema", "agents"] if way == "before" else []
    after = ["--schema", "agents"] if way == "after" else []
    environment = {"AGENTDB_SCHEMA": "agents"} if way == "environment" else {}

    for command in ("upgrade", "check", "wait"):
        result = agentdb(*before, command, *after, url=agentdb_empty_url, **environment)
        assert result.exit_code == 0, result.stderr

    assert agentdb("current", url=agentdb_empty_url).stdout == "no revision\n"


@pytest.mark.agentdb_only("postgres")
def test_the_demonstration_runs_in_a_schema(agentdb_empty_url: str) -> None:
    """Data and tables are where they were asked for."""
    result = agentdb("demo", "--url", agentdb_empty_url, "--schema", "agents")

    assert result.exit_code == 0
    assert agentdb("current", url=agentdb_empty_url, AGENTDB_SCHEMA="agents").stdout == f"{HEAD}\n"


@pytest.mark.agentdb_only("sqlite")
def test_a_schema_on_sqlite_is_refused(agentdb_url: str) -> None:
    """SQLite has none: what would be ignored is an error."""
    result = agentdb("--schema", "agents", "current", url=agentdb_url)

    assert result.exit_code == 1
    assert "schema" in result.stderr


@pytest.mark.parametrize("way", ["before", "after", "environment"])
def test_json_may_be_asked_for_once(way: str) -> None:
    """A program sets the variable and gets documents from all that print any."""
    before = ["--json"] if way == "before" else []
    after = ["--json"] if way == "after" else []
    environment = {"AGENTDB_JSON": "1"} if way == "environment" else {}

    result = agentdb(*before, "heads", *after, **environment)

    assert document(result) == {"heads": [HEAD]}


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_bad_variable_is_named(value: str) -> None:
    """Whoever mistyped it finds it."""
    result = agentdb("upgrade", AGENTDB_UPGRADE_WAIT=value)

    assert result.exit_code == 2
    assert "AGENTDB_UPGRADE_WAIT" in result.stderr


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and units pass on variables that nobody has set."""
    monkeypatch.chdir(tmp_path)

    result = agentdb("upgrade", AGENTDB_DATABASE_URL="", AGENTDB_SCHEMA="", AGENTDB_LOCK_TIMEOUT="")

    assert result.exit_code == 0
    assert (tmp_path / "agentdb.sqlite3").is_file()
