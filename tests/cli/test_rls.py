"""``agentdb rls``: what it prints, and with which exit code."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from agentdb import rls
from agentdb.cli.failures import ExitCode
from agentdb.testing import RoleUrls
from tests.cli.command import agentdb, document, rows
from tests.rls.test_changes import connect


def test_it_is_enabled_and_disabled(agentdb_role_urls: RoleUrls) -> None:
    """The second call says that there is nothing to do."""
    owner = agentdb_role_urls.owner
    texts = [
        agentdb("rls", action, url=owner).stderr
        for action in ("enable", "disable", "disable", "enable")
    ]

    assert texts[0] == texts[2] == "nothing to do\n"
    assert "statements were run" in texts[1]
    assert "statements were run" in texts[3]
    assert document(agentdb("rls", "enable", "--json", url=owner)) == {"run": []}


def test_the_status_tells_what_is_wrong(agentdb_role_urls: RoleUrls) -> None:
    """One line for the whole, one for each fault; --require fails with the reason."""
    with connect(agentdb_role_urls.owner) as connection:
        connection.execute("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
        connection.execute("DROP POLICY agentdb_tenant ON agent_messages")
        connection.execute("CREATE POLICY mine ON containers USING (true)")
    with connect(agentdb_role_urls.superuser) as connection:
        connection.execute("CREATE VIEW peek AS SELECT FROM users")

    result = agentdb("rls", "status", url=agentdb_role_urls.app)
    required = agentdb("rls", "status", "--require", url=agentdb_role_urls.app)

    assert result.exit_code == 0
    assert rows(result) == [
        ["row-level security is incomplete, and binds this role"],
        ["users", "does not bind the owner"],
        ["containers", "policy of others mine"],
        ["agent_messages", "without policy agentdb_tenant"],
        ["peek", "reads with the rights of its owner"],
    ]
    assert required.exit_code == ExitCode.SCHEMA
    assert "row-level security does not hold: the policies of users" in required.stderr


def test_the_status_tells_whom_it_binds(agentdb_role_urls: RoleUrls) -> None:
    """A role that passes is named by why it does."""
    superuser = agentdb("rls", "status", url=agentdb_role_urls.superuser)
    held = agentdb("rls", "status", "--require", url=agentdb_role_urls.app)
    passes = agentdb("rls", "status", "--require", url=agentdb_role_urls.platform)

    assert rows(superuser) == [
        ["row-level security is enabled, and does not bind this role (superuser, BYPASSRLS, owner)"]
    ]
    assert held.exit_code == 0
    assert passes.exit_code == ExitCode.SCHEMA
    assert document(agentdb("rls", "status", "--json", url=agentdb_role_urls.app)) == {
        "state": "enabled",
        "recorded": True,
        "bound": True,
        "passes": [],
        "leaks": [],
        "tables": {},
    }


def test_the_scripts_are_printed_without_a_database() -> None:
    """They are what the functions return."""
    assert agentdb("rls", "sql").stdout == rls.script()
    assert agentdb("rls", "sql", "disable", "--schema", "s").stdout == rls.script(
        "disable", schema="s"
    )
    named = rls.Roles(owner="o", app="a", platform="p")
    printed = agentdb("rls", "roles", "--owner", "o", "--app", "a", "--platform", "p").stdout
    assert printed == "".join(f"{line};\n" for line in rls.grants(named))


def test_sqlite_is_refused(tmp_path: object) -> None:
    """With the reason, and no file is made."""
    result = agentdb("rls", "status", url=f"sqlite:///{tmp_path}/none.db")

    assert result.exit_code == ExitCode.FAILED
    assert "SQLite has no row-level security" in result.stderr


def test_commands_take_the_platform_role(agentdb_role_urls: RoleUrls) -> None:
    """By option or environment; without it they name what is missing, and no password is shown."""
    urls = agentdb_role_urls
    order = ("maintain", "expire_invites")

    bare = agentdb(*order, url=urls.app)
    told = agentdb(*order, url=urls.app, AGENTDB_PLATFORM_DATABASE_URL=urls.platform)
    given = agentdb(*order, "--platform-url", urls.platform, url=urls.app)

    password = make_url(urls.platform).password
    assert isinstance(password, str)
    assert bare.exit_code != 0
    assert "AGENTDB_PLATFORM_DATABASE_URL" in bare.output
    assert (told.exit_code, given.exit_code) == (0, 0)
    assert password not in bare.output + told.output + given.output


@pytest.mark.parametrize("url", ["nonsense", "sqlite:///app.db"])
def test_a_platform_url_of_something_else_is_refused(agentdb_role_urls: RoleUrls, url: str) -> None:
    """Before anything is done."""
    result = agentdb("maintain", "expire_invites", "--platform-url", url, url=agentdb_role_urls.app)

    assert result.exit_code != 0
    assert "Traceback" not in result.output
