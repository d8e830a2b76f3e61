"""Passwords appear nowhere: not in messages, not in tracebacks, not in what click echoes."""

from pathlib import Path
from typing import NoReturn

import pytest

from agentdb import migrate
from agentdb.cli.redaction import hide_passwords, secrets_of
from tests.cli.command import run

WRITTEN, MEANT = "correct%2Fhorse", "correct/horse"
URL = f"postgresql://somebody:{WRITTEN}@127.0.0.1:1/nowhere"
IN_QUERY = "postgresql://127.0.0.1:1/nowhere?user=somebody&password=correct%2Fhorse"


@pytest.mark.parametrize(
    "arguments",
    [
        [URL],
        ["current", URL],
        ["upgrade", URL, "--url", "sqlite:///a.db"],
        ["stamp", URL, "--url", "sqlite:///a.db"],
        ["--wait", URL, "upgrade"],
        ["upgrade", "--phase", URL],
        ["tables", URL],
        ["schema", "--domain", URL],
        ["ingest", URL, "--tenant", "acme", "--conversation", "x"],
        ["current", "--url", URL],
        ["doctor", "--url", URL],
        ["doctor", "--json", "--url", URL],
        ["demo", "--url", URL],
        ["current", "--url", IN_QUERY],
        ["current", "--url", f"mysql://root:{WRITTEN}@localhost/x"],
        ["current", "--url", f"postgresql://a:{WRITTEN}@localhost:port/x"],
    ],
)
def test_no_password_is_echoed(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a URL is put by mistake, what is said of it goes into logs."""
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert result.exit_code != 0
    assert result.stderr
    assert WRITTEN not in result.output
    assert MEANT not in result.output


@pytest.mark.parametrize("url", [URL, IN_QUERY])
def test_no_password_is_in_the_traceback_of_a_defect(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback is for a bug report, and says all but the password."""

    def defect(*_: object, **__: object) -> NoReturn:
        error = KeyError(MEANT)
        error.add_note(f"connecting to {url}")
        raise RuntimeError(f"could not use {url}") from error

    monkeypatch.setattr(migrate, "current", defect)

    result = run("current", url=url)

    assert "RuntimeError: could not use postgresql://" in result.stderr
    assert "127.0.0.1:1/nowhere" in result.stderr
    assert "KeyError" in result.stderr
    assert WRITTEN not in result.output
    assert MEANT not in result.output


def test_the_shape_of_a_url_is_enough() -> None:
    """A password is hidden in any URL, also in one that was cut off."""
    assert hide_passwords("see a://b:c@d/e and 'x://y:z") == "see a://b:***@d/e and 'x://y:***"
    for harmless in ("sqlite:////data/a.db, postgresql://h/d", "postgresql://h:5432/d at 12:30"):
        assert hide_passwords(harmless) == harmless


def test_secrets_are_found_as_written_and_as_meant() -> None:
    """A driver may repeat either."""
    assert secrets_of(URL) == {WRITTEN, MEANT}
    assert secrets_of(IN_QUERY) == {WRITTEN, MEANT}
    assert secrets_of("sqlite:///a.db") == set()
    assert secrets_of("postgresql://[a") == set()
