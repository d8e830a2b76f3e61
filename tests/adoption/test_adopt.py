"""A database that was made by other means is taken over, or left as it was."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect, text

from agentdb import migrate
from agentdb.adoption import Survey, adopt, script, survey
from agentdb.catalog import differences
from agentdb.errors import AgentDBError, ConfigurationError, SchemaVersionError
from agentdb.migrate.locks import Waiting
from agentdb.version import VERSION_TABLE
from tests.adoption.old import engine_of, filled, forget
from tests.catalog.drift import run

DRIFT = (
    "DROP INDEX ix_users_status",
    "DROP INDEX uq_service_account_tokens_active_global",
    "DROP TABLE workflow_run_steps",
)


def survey_of(url: str) -> Survey:
    """Return the survey of a database."""
    with engine_of(url).connect() as connection:
        return survey(connection)


def test_a_database_that_is_as_the_models_say_is_stamped(agentdb_url: str) -> None:
    """It is current from then on, and its rows are as before."""
    forget(agentdb_url)
    with filled(agentdb_url):
        pass
    assert migrate.verdict(agentdb_url).state is migrate.State.UNMANAGED
    assert adopt(agentdb_url).refusals() == ()
    assert migrate.verdict(agentdb_url).state is migrate.State.CURRENT


def test_differences_are_refused_and_nothing_is_changed(agentdb_url: str) -> None:
    """The error names them; neither revision nor index is there afterwards."""
    forget(agentdb_url, *DRIFT)
    with pytest.raises(SchemaVersionError, match=r"users\.ix_users_status:missing_index"):
        adopt(agentdb_url)
    found = survey_of(agentdb_url)
    assert (found.revision, len(found.differences)) == (None, 3)
    assert found.missing_tables == ("workflow_run_steps",)


def test_harmless_differences_are_closed_on_request(agentdb_url: str) -> None:
    """What adopt was told to close is closed, and the survey tells what that was."""
    forget(agentdb_url, *DRIFT)
    found = adopt(agentdb_url, apply=True)
    assert len(found.differences) == 3
    with engine_of(agentdb_url).begin() as connection:
        assert differences(connection) == []
    assert migrate.verdict(agentdb_url).state is migrate.State.CURRENT


def test_the_script_closes_the_harmless_differences(agentdb_url: str) -> None:
    """It can be read, and run as it is."""
    forget(agentdb_url, *DRIFT)
    written = script(survey_of(agentdb_url))
    assert "-- users.ix_users_status: the index is missing" in written
    assert "account NOT LIKE 'user:%';" in written
    statements = "\n".join(line for line in written.splitlines() if not line.startswith("--"))
    with engine_of(agentdb_url).begin() as connection:
        run(connection, *(part for part in statements.split(";") if part.strip()))
        assert differences(connection) == []
    assert script(survey_of(agentdb_url)) == ""


def test_accepted_differences_stay(agentdb_url: str) -> None:
    """By key or by pattern; a table may not be missing, whoever accepts it."""
    forget(agentdb_url, *DRIFT[:2])
    keys = [difference.key for difference in survey_of(agentdb_url).differences]
    with pytest.raises(SchemaVersionError, match=keys[1]):
        adopt(agentdb_url, accept=keys[:1])
    adopt(agentdb_url, accept=["*:missing_index"])
    assert [d.key for d in survey_of(agentdb_url).differences] == keys
    assert migrate.verdict(agentdb_url).state is migrate.State.CURRENT


def test_a_missing_table_cannot_be_accepted(agentdb_url: str) -> None:
    """No release could work with such a database."""
    forget(agentdb_url, DRIFT[2])
    with pytest.raises(SchemaVersionError, match="workflow_run_steps"):
        adopt(agentdb_url, accept=["*"])


def test_an_index_of_others_is_no_reason_to_refuse(agentdb_url: str) -> None:
    """What restricts nothing stays."""
    forget(agentdb_url, "CREATE INDEX theirs ON users (created_at)")
    adopt(agentdb_url)
    assert [d.key for d in survey_of(agentdb_url).differences] == ["users.theirs:extra_index"]


def test_a_table_of_the_host_is_never_taken_over(agentdb_url: str) -> None:
    """A table that only shares the name is refused, whatever is accepted."""
    forget(
        agentdb_url,
        "DROP TABLE workflow_run_steps",
        "CREATE TABLE workflow_run_steps (id integer PRIMARY KEY, login text)",
    )
    with pytest.raises(SchemaVersionError, match="the name is taken"):
        adopt(agentdb_url, accept=["*"], apply=True)


def test_a_database_with_a_revision_is_refused(agentdb_url: str) -> None:
    """It is managed already."""
    with pytest.raises(SchemaVersionError, match="already"):
        adopt(agentdb_url)


def test_an_empty_database_is_refused(agentdb_empty_url: str) -> None:
    """There is nothing to adopt, and the tables are made by an upgrade."""
    with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
        adopt(agentdb_empty_url, apply=True)
    with engine_of(agentdb_empty_url).connect() as connection:
        assert inspect(connection).get_table_names() == []


def test_a_connection_in_a_transaction_is_refused(agentdb_url: str) -> None:
    """The transaction is the adoption's own."""
    with engine_of(agentdb_url).begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(ConfigurationError, match="transaction"):
            adopt(connection)


def test_what_fails_midway_leaves_the_database_as_it_was(agentdb_url: str) -> None:
    """Statements of others that the survey cannot foresee undo the whole adoption."""
    forget(agentdb_url, "DROP INDEX ix_users_status", "CREATE TABLE ix_users_status (id integer)")
    before = survey_of(agentdb_url)
    with pytest.raises(AgentDBError):
        adopt(agentdb_url, apply=True)
    assert survey_of(agentdb_url) == before
    assert before.revision is None


@pytest.mark.agentdb_only("postgres")
def test_a_named_schema_is_adopted_beside_others(agentdb_url: str) -> None:
    """Keys, statements and the revision are those of the schema, which may need quotes."""
    migrate.upgrade(agentdb_url, schema="My schema")
    with filled(agentdb_url, "My schema") as (_, rows):
        pass
    with engine_of(agentdb_url).begin() as connection:
        run(
            connection,
            f'DROP TABLE "My schema".{VERSION_TABLE}',
            'DROP TABLE "My schema".workflow_run_steps, "My schema".user_mfa_methods',
            'DROP TYPE "My schema".mfa_method_type',
            'DROP INDEX "My schema".ix_users_status',
            'UPDATE "My schema".workflow_runs SET conversation_id = NULL',
            "UPDATE \"My schema\".agent_conversations SET conversation_key = 'bare'",
            "UPDATE \"My schema\".workflow_runs SET conversation_id = 'bare'",
        )
    found = adopt(agentdb_url, schema="My schema", apply=True)
    assert found.bare_keys.count == 1
    assert migrate.verdict(agentdb_url, schema="My schema").state is migrate.State.CURRENT
    with engine_of(agentdb_url).connect() as connection:
        again = survey(connection, schema="My schema")
        run_of = text('SELECT conversation_id FROM "My schema".workflow_runs')
        assert connection.scalar(run_of) == f"{rows['tenant_accounts'].id}:bare"
    assert (again.differences, again.bare_keys.count) == ((), 0)


def test_a_survey_is_json(agentdb_url: str) -> None:
    """Programs get what people see."""
    forget(agentdb_url, *DRIFT)
    shown = json.loads(json.dumps(survey_of(agentdb_url).as_dict()))
    assert shown["missing_tables"] == ["workflow_run_steps"]
    assert shown["bare_keys"] == {
        "count": 0,
        "too_long": {"count": 0, "examples": []},
        "taken": {"count": 0, "examples": []},
    }
    assert [d["kind"] for d in shown["differences"]].count("missing_index") == 2


def test_of_many_that_adopt_at_once_one_does(agentdb_url: str) -> None:
    """The others find the revision, and close nothing twice."""
    forget(agentdb_url, "DROP INDEX ix_users_status")

    def one(_: int) -> str:
        try:
            adopt(agentdb_url, apply=True)
        except SchemaVersionError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(one, range(4)))
    assert answers[0] == "done"
    assert all("already" in answer for answer in answers[1:])


def test_a_connection_of_the_caller_is_given_back_as_it_was(agentdb_url: str) -> None:
    """In no transaction, and with foreign keys on."""
    forget(agentdb_url, "DROP INDEX ix_users_status")
    with engine_of(agentdb_url).connect() as connection:
        adopt(connection, apply=True)
        assert not connection.in_transaction()
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert migrate.verdict(agentdb_url).state is migrate.State.CURRENT


@pytest.mark.agentdb_only("postgres")
def test_an_adoption_waits_for_those_who_write_conversations(
    agentdb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds nobody up for long: it gives up on the lock, and tries again."""
    forget(agentdb_url)
    told: list[str] = []
    with engine_of(agentdb_url).connect() as writer:
        run(writer, "UPDATE agent_conversations SET status = 'active'")

        def release(_: Waiting, why: str) -> None:
            told.append(why)
            writer.rollback()

        monkeypatch.setattr(Waiting, "pause", release)
        adopt(agentdb_url)
    assert told == ["another session holds the lock on a table"]
    assert migrate.verdict(agentdb_url).state is migrate.State.CURRENT
