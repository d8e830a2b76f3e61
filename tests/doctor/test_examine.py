"""The doctor tells what is wrong, raises nothing, and gives nothing away."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import ConnectionInfo
from sqlalchemy import make_url

from agentdb import migrate
from agentdb.doctor import Finding, Report, Status, examine, postgresql
from agentdb.engines import make_sync_engine
from agentdb.settings import Settings
from agentdb.testing import Template
from agentdb.types import UTC_NOW
from tests.catalog.drift import run


def by_name(report: Report) -> dict[str, Finding]:
    """Return the findings by name, each once."""
    found = {finding.name: finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


def drifted(url: str, *statements: str) -> dict[str, Finding]:
    """Run statements on a database, and return what is found then."""
    with make_sync_engine(url, Settings()).begin() as connection:
        run(connection, *statements)
    return by_name(examine(url))


def test_a_migrated_database_is_well(agentdb_url: str) -> None:
    """Nothing is a problem; the verdict, the drift and the versions are told."""
    report = examine(agentdb_url)
    found = by_name(report)
    problems = [finding for finding in report.findings if finding.status is Status.PROBLEM]
    assert problems == []
    assert found["connection"].status is Status.OK
    assert found["verdict"].value.startswith("current: ")
    assert found["drift"].value == "none"
    assert {"agentdb", "python", "libraries"} <= found.keys()


def test_a_report_is_json_and_its_status_the_worst(agentdb_url: str) -> None:
    """A program reads what a person sees."""
    report = examine(agentdb_url)
    shown = json.loads(json.dumps(report.as_dict()))
    assert (
        shown["status"]
        == report.status
        == max((f.status for f in report.findings), key=list(Status).index)
    )
    assert [f["name"] for f in shown["findings"]] == [f.name for f in report.findings]


def test_an_empty_database_gets_the_advice_to_upgrade(agentdb_empty_url: str) -> None:
    """Nothing is compared where nothing can be alike."""
    with make_sync_engine(agentdb_empty_url, Settings()).connect():
        pass  # makes the file
    found = by_name(examine(agentdb_empty_url))
    assert found["verdict"].status is Status.PROBLEM
    assert found["verdict"].advice == "run `agentdb upgrade`"
    assert found["drift"].value.startswith("not compared")


def test_drift_is_counted_and_named(agentdb_url: str) -> None:
    """A missing index is a warning."""
    found = drifted(agentdb_url, "DROP INDEX ix_users_status")
    assert found["drift"].status is Status.WARNING
    assert found["drift"].value == "1: users.ix_users_status:missing_index"


def test_drift_that_cannot_be_closed_is_a_problem(agentdb_url: str) -> None:
    """Of many differences, some are named."""
    columns = [f"ALTER TABLE users ADD COLUMN more_{n} text" for n in range(7)]
    found = drifted(agentdb_url, *columns)
    assert found["drift"].status is Status.PROBLEM
    assert found["drift"].value.startswith("7: users.more_0:extra_column, ")
    assert found["drift"].value.endswith(", …")


def test_a_connection_of_the_caller_stays_as_it_was(agentdb_url: str) -> None:
    """Its transaction goes on, and what it did is seen."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        run(connection, "CREATE TABLE theirs (id integer)")
        assert by_name(examine(connection))["drift"].value == "none"
        assert connection.in_transaction()
        connection.exec_driver_sql("SELECT * FROM theirs")


def test_a_database_that_cannot_be_reached_is_a_finding() -> None:
    """No exception, and neither host, role, password nor name of the database is told."""
    url = "postgresql://secretrole:secretword@127.0.0.1:1/secretbase"
    report = examine(url)
    assert by_name(report)["connection"].status is Status.PROBLEM
    assert by_name(report)["connection"].value.startswith("UnavailableError")
    text = json.dumps(report.as_dict())
    assert "secret" not in text
    assert "127.0.0.1" not in text
    assert by_name(examine("nonsense"))["connection"].status is Status.PROBLEM


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Looking changes nothing."""
    file = tmp_path / "none.sqlite3"
    found = by_name(examine(f"sqlite:///{file}"))
    assert found["connection"].status is Status.PROBLEM
    assert not file.exists()


def test_a_schema_that_sqlite_cannot_have_is_a_finding(tmp_path: Path) -> None:
    """A wrong argument is told as well."""
    file = tmp_path / "some.sqlite3"
    sqlite3.connect(file).close()
    found = by_name(examine(f"sqlite:///{file}", schema="other"))
    assert found["connection"].value.startswith("ConfigurationError")


@pytest.mark.agentdb_only("sqlite")
def test_the_pragmas_and_the_integrity_of_a_file_are_told(agentdb_url: str) -> None:
    """They are those that the promises need."""
    found = by_name(examine(agentdb_url))
    assert found["journal_mode"].value == "wal"
    assert found["foreign_keys"].value == "on"
    assert found["synchronous"].value == "NORMAL"
    assert found["busy_timeout"].value.endswith(" ms")
    assert found["integrity"].value == "ok"
    assert found["sqlite"].value == sqlite3.sqlite_version


@pytest.mark.agentdb_only("sqlite")
def test_a_damaged_file_is_a_problem(agentdb_url: str) -> None:
    """Whether the check finds the damage or trips over it."""
    file = Path(str(make_url(agentdb_url).database))
    with make_sync_engine(agentdb_url, Settings()).connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    content = bytearray(file.read_bytes())
    content[page * 5 : page * 40] = b"\xff" * (page * 35)
    file.write_bytes(content)
    assert examine(agentdb_url).status is Status.PROBLEM


@pytest.mark.agentdb_only("sqlite")
def test_pragmas_of_a_host_that_break_promises_are_told(agentdb_url: str) -> None:
    """A connection of the host is looked at as it is."""
    with make_sync_engine(agentdb_url, Settings()).connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("PRAGMA journal_mode = DELETE")
        cursor.close()
        found = by_name(examine(connection))
    assert found["foreign_keys"].status is Status.PROBLEM
    assert found["synchronous"].status is Status.WARNING
    assert found["journal_mode"].status is Status.WARNING


@pytest.mark.agentdb_only("postgres")
def test_the_server_is_told(agentdb_url: str) -> None:
    """Product, encoding, locale, extensions and role."""
    found = by_name(examine(agentdb_url))
    assert found["server"].value.startswith("PostgreSQL 1")
    assert found["encoding"] == Finding("encoding", Status.OK, "UTF8")
    assert found["locale"].value
    assert found["citext"].value.endswith(" in schema public")
    assert found["pg_trgm"].value == "can be installed"
    assert found["pooler"].value == "none noticed"
    assert found["clock"].status is Status.OK
    assert found["invalid indexes"].value == "none"
    assert "owns 46 of 46 tables, may create tables" in found["role"].value


@pytest.mark.agentdb_only("postgres")
def test_a_superuser_is_warned_of(agentdb_url: str) -> None:
    """Row-level security does not bind it."""
    found = by_name(examine(agentdb_url))["role"]
    assert (found.status, found.value.split(",")[0]) == (Status.WARNING, "superuser")


@pytest.mark.agentdb_only("postgres")
def test_a_plain_role_and_what_it_lacks_are_told(agentdb_empty_url: str) -> None:
    """Without rights, citext cannot be installed and no table made; no name of a role is told."""
    with make_sync_engine(agentdb_empty_url, Settings()).begin() as connection:
        run(connection, "CREATE ROLE agentdb_doctors_plain", "SET LOCAL ROLE agentdb_doctors_plain")
        report = examine(connection)
        connection.rollback()
    found = by_name(report)
    assert found["citext"].status is Status.PROBLEM
    assert found["citext"].value == "may not be installed by this role"
    assert found["role"].value == "owns 0 of 46 tables, may not create tables"
    assert "agentdb_doctors_plain" not in json.dumps(report.as_dict())


@pytest.mark.agentdb_only("postgres")
def test_an_invalid_index_is_a_problem(agentdb_url: str) -> None:
    """PostgreSQL does not use it, and keeps it up to date all the same."""
    found = drifted(
        agentdb_url,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_status'::regclass",
    )
    assert found["invalid indexes"].status is Status.PROBLEM
    assert found["invalid indexes"].value == "1: ix_users_status"


@pytest.mark.agentdb_only("postgres")
def test_a_clock_that_is_wrong_is_warned_of(
    agentdb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expiries are stamped by one clock and compared by the other."""
    monkeypatch.setattr(postgresql, "UTC_NOW", lambda: UTC_NOW() - timedelta(hours=1))
    found = by_name(examine(agentdb_url))["clock"]
    assert (found.status, found.value[:3]) == (Status.WARNING, "+36")


@pytest.mark.agentdb_only("postgres")
def test_a_named_schema_is_examined(agentdb_empty_url: str) -> None:
    """Beside one of the search path that is empty."""
    migrate.upgrade(agentdb_empty_url, schema="apart")
    found = by_name(examine(agentdb_empty_url, schema="apart"))
    assert (found["verdict"].status, found["drift"].value) == (Status.OK, "none")
    assert "owns 46 of 46 tables" in found["role"].value
    missing = by_name(examine(agentdb_empty_url, schema="nowhere"))
    assert "the schema does not exist" in missing["role"].value


@pytest.mark.agentdb_only("postgres")
def test_a_database_in_another_encoding_is_a_problem(agentdb_template: Template) -> None:
    """Text of other bytes could not be read again."""
    url = make_url(agentdb_template.empty())
    engine = make_sync_engine(url, Settings())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        run(
            connection,
            "CREATE DATABASE agentdb_doctors_ascii ENCODING 'SQL_ASCII' LOCALE 'C'"
            " TEMPLATE template0",
        )
    other = url.set(database="agentdb_doctors_ascii").render_as_string(hide_password=False)
    try:
        found = by_name(examine(other))
    finally:
        agentdb_template.drop(other)
        agentdb_template.drop(url.render_as_string(hide_password=False))
    assert (found["encoding"].status, found["encoding"].value) == (Status.PROBLEM, "SQL_ASCII")
    assert found["locale"].status is Status.WARNING


@pytest.mark.agentdb_only("postgres")
def test_a_part_that_fails_hides_no_other(agentdb_url: str) -> None:
    """A role that may not read the revision gets the rest, and no name of it is told."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        run(connection, "CREATE ROLE agentdb_doctors_poor", "SET LOCAL ROLE agentdb_doctors_poor")
        report = examine(connection)
        connection.rollback()
    found = by_name(report)
    assert found["verdict"] == Finding("verdict", Status.PROBLEM, "PermissionDeniedError 42501")
    assert found["invalid indexes"].value == "none"
    assert "agentdb_doctors_poor" not in json.dumps(report.as_dict())


@pytest.mark.agentdb_only("postgres")
def test_a_pooler_is_told(agentdb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server process answers than the one that was announced."""
    monkeypatch.setattr(ConnectionInfo, "backend_pid", property(lambda _: 1))
    assert by_name(examine(agentdb_url))["pooler"].value == "one that changes server processes"
