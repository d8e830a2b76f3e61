"""Rotating keys from the command line."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

import click
import pytest

from agentdb.cli import main
from agentdb.cli.failures import ExitCode
from agentdb.crypto import KeyRing
from agentdb.database import Database
from agentdb.models import UserMfaMethod
from agentdb.testing import Factory
from tests.cli.command import agentdb, document, rows, sentence
from tests.crypto.rings import KEYS, LOST, NEW, SECRET, enroll, opened

pytestmark = pytest.mark.agentdb_commits


def keys(*key_ids: str) -> dict[str, str]:
    """Return the environment with these keys."""
    entries = (f"{key_id}:{b64encode(KEYS[key_id]).decode()}" for key_id in key_ids)
    return {"AGENTDB_ENCRYPTION_KEYS": ",".join(entries)}


BOTH = keys("new1", "old1")


def secrets_of(url: str) -> list[str]:
    """Return all secrets of a database, opened with the new key alone."""

    async def read() -> list[str]:
        async with Database(url) as database:
            return await opened(database, NEW)

    return asyncio.run(read())


def stored_in(make: Factory, method: UserMfaMethod) -> bytes | None:
    """Return what the row of a second factor holds now."""
    with make.transaction() as session:
        return session.get_one(UserMfaMethod, method.id).secret_encrypted


def test_keys_are_rotated_end_to_end(agentdb_url: str, agentdb_make: Factory) -> None:
    """Count, rotate, remove the old key: the secrets are opened with the new one."""
    enroll(agentdb_make, count=3)

    counted = agentdb("rotate-keys", "--dry-run", url=agentdb_url, **BOTH)
    done = agentdb("rotate-keys", "--batch", "2", url=agentdb_url, **BOTH)
    after = agentdb("rotate-keys", url=agentdb_url, **keys("new1"))

    assert rows(counted) == rows(done)
    assert rows(done)[0] == ["values", "rotated", "3"]
    assert done.stderr == "the values are under the key new1\n"
    assert rows(after)[:2] == [["values", "rotated", "0"], ["values", "current", "3"]]
    assert sorted(secrets_of(agentdb_url)) == ["secret-0", "secret-1", "secret-2"]


def test_what_no_key_opens_is_named_and_the_command_fails(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """After all others are rotated: the keys have to stay until it is looked into."""
    enroll(agentdb_make)
    (lost,) = enroll(agentdb_make, LOST)

    result = agentdb("rotate-keys", url=agentdb_url, **BOTH)

    assert result.exit_code == ExitCode.FAILED
    assert rows(result)[0] == ["values", "rotated", "1"]
    place = ["unopened", "user_mfa_methods", "secret_encrypted", str(lost.id), "unknown_key"]
    assert rows(result)[-1] == place
    assert result.stderr == "Error: no key opens 1 of the values: keep all keys\n"


def test_the_report_is_json_on_request(agentdb_url: str, agentdb_make: Factory) -> None:
    """With the exit code that it has without."""
    (lost,) = enroll(agentdb_make, LOST)

    result = agentdb("rotate-keys", "--json", url=agentdb_url, **BOTH)

    assert document(result, ExitCode.FAILED) == {
        "counts": {"rotated": 0, "current": 0, "foreign": 0, "unopened": 1},
        "unopened": [
            {
                "table": "user_mfa_methods",
                "column": "secret_encrypted",
                "id": str(lost.id),
                "reason": "unknown_key",
            }
        ],
    }


def test_what_the_host_encrypted_is_no_failure(agentdb_url: str, agentdb_make: Factory) -> None:
    """It depends on none of the keys."""
    agentdb_make.user_session(ip_encrypted=b"of the host")

    result = agentdb("rotate-keys", url=agentdb_url, **BOTH)

    assert result.exit_code == ExitCode.DONE
    assert ["values", "foreign", "1"] in rows(result)


def test_one_table_is_chosen(agentdb_url: str, agentdb_make: Factory) -> None:
    """The values of others stay under the old key."""
    (method,) = enroll(agentdb_make)

    agentdb("rotate-keys", "--table", "user_sessions", url=agentdb_url, **BOTH)

    assert stored_in(agentdb_make, method) == method.secret_encrypted


@pytest.mark.parametrize(
    "arguments", [["--table", "users"], ["--batch", "0"], ["--keys", "x"], ["--table"]]
)
def test_a_wrong_call_is_refused(agentdb_url: str, arguments: list[str]) -> None:
    """A table without encrypted columns, no rows at all, keys where others could see them."""
    result = agentdb("rotate-keys", *arguments, url=agentdb_url, **BOTH)

    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")


def test_keys_come_from_the_environment_alone() -> None:
    """No option takes one: other users of the machine see the command line."""
    command = main.commands["rotate-keys"]
    flags = {o.opts[0] for o in command.params if isinstance(o, click.Option)}

    database = {"--url", "--platform-url", "--schema"}
    assert flags == {"--table", "--batch", "--dry-run", "--json"} | database


def test_without_keys_the_command_says_what_to_set(tmp_path: Path) -> None:
    """Before it looks for the database."""
    result = agentdb("rotate-keys", url=f"sqlite:///{tmp_path / 'none' / 'app.db'}")

    assert sentence(result) == "AGENTDB_ENCRYPTION_KEYS is not set"


@pytest.mark.parametrize("broken", ["c2VjcmV0LWNhbmFyeS1rZXk=", "k:c2VjcmV0LWNhbmFyeS1rZXk="])
def test_keys_that_cannot_be_read_are_not_shown(agentdb_url: str, broken: str) -> None:
    """Without an id, and of a wrong length."""
    result = agentdb("rotate-keys", url=agentdb_url, AGENTDB_ENCRYPTION_KEYS=broken)

    assert result.exit_code == ExitCode.FAILED
    assert "c2VjcmV0" not in result.output


def test_neither_keys_nor_values_nor_secrets_are_printed(
    agentdb_url: str, agentdb_make: Factory
) -> None:
    """In any form of the result."""
    stored = enroll(agentdb_make, count=2) + enroll(agentdb_make, LOST)
    texts = [row.secret_encrypted.decode() for row in stored if row.secret_encrypted]
    texts += [entry.partition(":")[2] for entry in BOTH["AGENTDB_ENCRYPTION_KEYS"].split(",")]

    for options in (["--dry-run"], ["--json"], []):
        result = agentdb("rotate-keys", *options, url=agentdb_url, **BOTH)
        shown = result.output + result.stderr
        assert not any(text in shown for text in ["secret-0", *texts])


def test_a_host_reads_what_the_command_wrote(agentdb_url: str, agentdb_make: Factory) -> None:
    """The ring of the environment and one made in the program are the same."""
    (method,) = enroll(agentdb_make)
    agentdb("rotate-keys", url=agentdb_url, **BOTH)

    found = stored_in(agentdb_make, method)
    assert found is not None
    ring = KeyRing({"new1": KEYS["new1"]})
    assert ring.decrypt(found, SECRET, owner=method.user_id) == b"secret-0"
