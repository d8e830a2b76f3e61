"""Rows that a rule would refuse are listed before anything is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentdb.adoption import Offenders, adopt, survey
from agentdb.errors import SchemaVersionError
from tests.adoption.old import engine_of, filled, forget
from tests.rows import Rows, row_of, store

Twins = Callable[[Rows], list[Any]]


def alike(table: str, **values: Any) -> Twins:
    """Return what makes two more rows of a table, under the parents of the first."""

    def twins(rows: Rows) -> list[Any]:
        return [row_of(table, label, rows, **values) for label in ("one", "two")]

    return twins


def namesakes(rows: Rows) -> list[Any]:
    """Return two more containers of the name of the first."""
    made = alike("containers")(rows)
    for container in made:
        container.name = rows["containers"].name
    return made


def bindings(rows: Rows) -> list[Any]:
    """Return two bindings of one agent, to containers of their own."""
    made: list[Any] = []
    for label in ("one", "two"):
        container = row_of("containers", label, rows)
        parents = {**rows, "containers": container}
        made += [container, row_of("agent_containers", label, parents, agent_key="triage")]
    return made


RULES: dict[str, tuple[str, tuple[str, ...], Twins, int]] = {
    "uq_user_profiles_user_id": ("user_profiles", ("user_id",), alike("user_profiles"), 3),
    "uq_containers_live_name": (
        "containers",
        ("tenant_id", "name"),
        namesakes,
        3,
    ),
    "uq_conversation_ledger_segments_active": (
        "conversation_ledger_segments",
        ("conversation_id",),
        lambda rows: [
            row_of("conversation_ledger_segments", f"{n}", rows, segment_index=n) for n in (7, 8)
        ],
        3,
    ),
    "uq_conversation_run_queue_items_head": (
        "conversation_run_queue_items",
        ("conversation_id",),
        alike("conversation_run_queue_items", status="ready"),
        3,
    ),
    "uq_agent_containers_tenant_agent": (
        "agent_containers",
        ("tenant_id", "agent_key"),
        bindings,
        2,
    ),
    "uq_service_account_tokens_active_global": (
        "service_account_tokens",
        ("account", "scope_key"),
        alike("service_account_tokens", tenant_id=None, account="robot", scope_key="all"),
        2,
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_a_restricting_index_would_refuse_are_listed(rule: str, agentdb_url: str) -> None:
    """Their count and some of their primary keys are told, and the database is not taken over."""
    table, columns, twins, count = RULES[rule]
    forget(agentdb_url, f"DROP INDEX {rule}")
    with filled(agentdb_url) as (session, rows):
        store(session, twins(rows))
    with engine_of(agentdb_url).connect() as connection:
        found = survey(connection)
    (offenders,) = found.offenders
    assert (offenders.rule, offenders.table, offenders.columns) == (rule, table, columns)
    assert (offenders.count, len(offenders.examples)) == (count, count)
    assert all(offenders.examples)
    with pytest.raises(SchemaVersionError, match=rule):
        adopt(agentdb_url, apply=True, accept=["*"])


def test_a_database_without_such_rows_has_no_offenders(agentdb_url: str) -> None:
    """Rows that the rules allow do not stand in the way of making them."""
    forget(agentdb_url, *(f"DROP INDEX {rule}" for rule in RULES))
    with filled(agentdb_url):
        pass
    with engine_of(agentdb_url).connect() as connection:
        found = survey(connection)
    assert found.offenders == ()
    assert {difference.item for difference in found.differences} == set(RULES)


def test_examples_are_few(agentdb_url: str) -> None:
    """A million rows are counted, and five of them shown."""
    forget(agentdb_url, "DROP INDEX uq_user_profiles_user_id")
    with filled(agentdb_url) as (session, rows):
        store(session, [row_of("user_profiles", f"{n}", rows) for n in range(9)])
    with engine_of(agentdb_url).connect() as connection:
        (offenders,) = survey(connection).offenders
    assert (offenders.count, len(offenders.examples)) == (10, 5)


@pytest.mark.agentdb_only("postgres")
def test_nulls_and_orphans_are_listed_where_the_rule_is_missing(agentdb_url: str) -> None:
    """NOT NULL, foreign keys and checks that are missing are looked at as well."""
    check = "ck_conversation_ledger_events_payload_present"
    forget(
        agentdb_url,
        "ALTER TABLE user_profiles DROP CONSTRAINT fk_user_profiles_user_id",
        "ALTER TABLE users ALTER password_hash DROP NOT NULL",
        f"ALTER TABLE conversation_ledger_events DROP CONSTRAINT {check}",
    )
    with filled(agentdb_url) as (_, rows):
        pass
    with engine_of(agentdb_url).begin() as connection:
        connection.exec_driver_sql("UPDATE users SET password_hash = NULL")
        connection.exec_driver_sql("UPDATE user_profiles SET user_id = gen_random_uuid()")
        connection.exec_driver_sql(
            "UPDATE conversation_ledger_events SET payload_json = NULL, payload_object_id = NULL"
        )
        found = survey(connection).offenders
    assert set(found) == {
        Offenders(
            "fk_user_profiles_user_id",
            "user_profiles",
            ("user_id",),
            1,
            (str(rows["user_profiles"].id),),
        ),
        Offenders(
            "password_hash NOT NULL", "users", ("password_hash",), 1, (str(rows["users"].id),)
        ),
        Offenders(
            check,
            "conversation_ledger_events",
            (),
            1,
            (str(rows["conversation_ledger_events"].id),),
        ),
    }


@pytest.mark.agentdb_only("sqlite")
def test_references_that_lead_nowhere_are_listed_on_sqlite(agentdb_url: str) -> None:
    """SQLite has the rule and enforces it only for those who ask for it."""
    forget(agentdb_url)
    with filled(agentdb_url):
        pass
    engine = engine_of(agentdb_url)
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("DELETE FROM users")
        connection.commit()
    with engine.connect() as connection:
        found = survey(connection)
    assert ("fk_user_profiles_user_id", 1) in {(o.rule, o.count) for o in found.offenders}
    with pytest.raises(SchemaVersionError, match="fk_"):
        adopt(agentdb_url)


def test_rules_about_columns_that_are_missing_are_not_asked_for(agentdb_url: str) -> None:
    """The survey of a database that lacks columns and tables is a survey, not an error."""
    forget(
        agentdb_url,
        "DROP TABLE workflow_run_steps",
        "DROP INDEX uq_containers_live_name",
        "DROP INDEX uq_service_account_tokens_active_global",
        "DROP INDEX uq_service_account_tokens_active_service_accounts",
        "DROP INDEX ix_service_account_tokens_account",
        "ALTER TABLE service_account_tokens DROP COLUMN account",
    )
    with engine_of(agentdb_url).connect() as connection:
        found = survey(connection)
    kinds = {(difference.item, str(difference.kind)) for difference in found.differences}
    assert ("account", "missing_column") in kinds
    assert (found.offenders, found.bare_keys.count) == ((), 0)
    assert found.refusals(accept=["*"]) == (
        "workflow_run_steps: the table is missing (workflow_run_steps:missing_table)",
    )
