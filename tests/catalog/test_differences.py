"""What differs between a live database and the models, each drift by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from agentdb import migrate
from agentdb.catalog import Difference, Kind, differences
from agentdb.engines import make_sync_engine
from agentdb.migrate.connections import reading
from agentdb.models import Base
from agentdb.settings import Settings
from tests.catalog.drift import remake, run

# Keys of differences, and the statements that make them.
ON_BOTH = {
    "users.ix_users_status:missing_index": ["DROP INDEX ix_users_status"],
    "user_sessions.ix_user_sessions_idle:index": [
        "DROP INDEX ix_user_sessions_idle",
        (
            "CREATE INDEX ix_user_sessions_idle ON user_sessions (last_seen_at, id)"
            " WHERE revoked_at IS NOT NULL"
        ),
    ],
    "containers.uq_containers_live_name:index": [
        "DROP INDEX uq_containers_live_name",
        (
            "CREATE INDEX uq_containers_live_name ON containers (tenant_id, name)"
            " WHERE deleted_at IS NULL"
        ),
    ],
    "storage_objects.ix_storage_objects_tenant_created:index": [
        "DROP INDEX ix_storage_objects_tenant_created",
        (
            "CREATE INDEX ix_storage_objects_tenant_created"
            " ON storage_objects (tenant_id, created_at DESC, id)"
        ),
    ],
    "users.ix_users_status:name": [
        "DROP INDEX ix_users_status",
        "CREATE INDEX by_status ON users (status)",
    ],
    "service_account_tokens.uq_service_account_tokens_active_global:missing_index": [
        "DROP INDEX uq_service_account_tokens_active_global"
    ],
    "workflow_run_steps:missing_table": ["DROP TABLE workflow_run_steps"],
    "user_profiles.timezone:missing_column": ["ALTER TABLE user_profiles DROP COLUMN timezone"],
}
ON_POSTGRESQL = {
    "users.password_hash:type": ["ALTER TABLE users ALTER password_hash TYPE varchar(300)"],
    "users.password_hash:nullability": ["ALTER TABLE users ALTER password_hash DROP NOT NULL"],
    "users.platform_role:nullability": ["ALTER TABLE users ALTER platform_role SET NOT NULL"],
    "plan_features.id:default": [
        "ALTER TABLE plan_features ALTER id DROP DEFAULT",
        "DROP SEQUENCE plan_features_id_seq",
    ],
    "users.uq_users_email:name": ["ALTER TABLE users RENAME CONSTRAINT uq_users_email TO its_key"],
    "users.uq_users_email:missing_constraint": ["ALTER TABLE users DROP CONSTRAINT uq_users_email"],
    "users.uq_users_email:constraint": [
        "ALTER TABLE users DROP CONSTRAINT uq_users_email",
        "CREATE UNIQUE INDEX uq_users_email ON users (email)",
    ],
    "user_profiles.uq_user_profiles_user_id:index": [
        "DROP INDEX uq_user_profiles_user_id",
        "ALTER TABLE user_profiles ADD CONSTRAINT uq_user_profiles_user_id UNIQUE (user_id)",
    ],
    "user_profiles.fk_user_profiles_user_id:foreign_key": [
        "ALTER TABLE user_profiles DROP CONSTRAINT fk_user_profiles_user_id",
        (
            "ALTER TABLE user_profiles ADD CONSTRAINT other FOREIGN KEY (user_id)"
            " REFERENCES users (id)"
        ),
    ],
    "user_consents.fk_user_consents_user_id:foreign_key": [
        "ALTER TABLE user_consents DROP CONSTRAINT fk_user_consents_user_id",
        (
            "ALTER TABLE user_consents ADD CONSTRAINT fk_user_consents_user_id"
            " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID"
        ),
    ],
    "conversation_ledger_events.ck_conversation_ledger_events_payload_present:constraint": [
        (
            "ALTER TABLE conversation_ledger_events"
            " DROP CONSTRAINT ck_conversation_ledger_events_payload_present"
        ),
        (
            "ALTER TABLE conversation_ledger_events"
            " ADD CONSTRAINT ck_conversation_ledger_events_payload_present"
            " CHECK (payload_json IS NOT NULL AND payload_object_id IS NOT NULL)"
        ),
    ],
    "agent_messages.text_tsv:generated": [
        "DROP INDEX ix_agent_messages_text_tsv",
        "ALTER TABLE agent_messages DROP COLUMN text_tsv",
        (
            "ALTER TABLE agent_messages ADD COLUMN text_tsv tsvector GENERATED ALWAYS AS"
            " (to_tsvector('simple', coalesce(content->>'text', ''))) STORED"
        ),
        "CREATE INDEX ix_agent_messages_text_tsv ON agent_messages USING gin (text_tsv)",
    ],
    "agent_messages.ix_agent_messages_text_tsv:index": [
        "DROP INDEX ix_agent_messages_text_tsv",
        "CREATE INDEX ix_agent_messages_text_tsv ON agent_messages USING gist (text_tsv)",
    ],
}
NOT_CLOSED_ON_POSTGRESQL = {
    "users.email:type": ["ALTER TABLE users ALTER email TYPE text"],
    "agent_messages.role:type": ["ALTER TABLE agent_messages ALTER role TYPE varchar(99)"],
    "users.password_hash:collation": [
        'ALTER TABLE users ALTER password_hash TYPE text COLLATE "C"'
    ],
    "users.password_hash:default": ["ALTER TABLE users ALTER password_hash SET DEFAULT ''"],
    "users.nickname:extra_column": ["ALTER TABLE users ADD nickname text"],
    "users.adults:extra_constraint": ["ALTER TABLE users ADD CONSTRAINT adults CHECK (id <> id)"],
    "users.lower_email:extra_index": ["CREATE UNIQUE INDEX lower_email ON users (lower(email))"],
    "plan_features.id:default": [
        "ALTER TABLE plan_features ALTER id DROP DEFAULT",
        "ALTER TABLE plan_features ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    ],
    "workflow_run_steps:foreign_table": [
        "DROP TABLE workflow_run_steps",
        "CREATE VIEW workflow_run_steps AS SELECT 1 AS id",
    ],
}
ON_SQLITE = {
    "users.password_hash:type": ("password_hash TEXT", "password_hash VARCHAR(300)"),
    "users.password_hash:nullability": ("password_hash TEXT NOT NULL", "password_hash TEXT"),
    "users.platform_role:nullability": (
        "platform_role VARCHAR(17)",
        "platform_role VARCHAR(17) NOT NULL",
    ),
    "users.email:collation": (' COLLATE "NOCASE"', ""),
    "users.password_hash:default": ("password_hash TEXT", "password_hash TEXT DEFAULT ''"),
    "users.nickname:extra_column": ("password_hash TEXT", "nickname TEXT, password_hash TEXT"),
    "users.uq_users_email:missing_constraint": (
        ", \n\tCONSTRAINT uq_users_email UNIQUE (email)",
        "",
    ),
    "users.uq_users_email:name": ("CONSTRAINT uq_users_email UNIQUE", "CONSTRAINT k UNIQUE"),
    "users.its:extra_constraint": (
        "CONSTRAINT uq_users_email",
        "CONSTRAINT its CHECK (id <> '(x'), CONSTRAINT uq_users_email",
    ),
    "user_profiles.fk_user_profiles_user_id:foreign_key": (" ON DELETE CASCADE", ""),
    "conversation_ledger_events.ck_conversation_ledger_events_payload_present:constraint": (
        "payload_json IS NOT NULL OR",
        "payload_json IS NOT NULL AND",
    ),
    "agent_messages.id:autoincrement": (" AUTOINCREMENT", ""),
}


def closed(connection: Connection) -> list[Difference]:
    """Run the statements of all differences, and return what still differs."""
    for difference in differences(connection):
        run(connection, *difference.statements)
    return differences(connection)


def test_a_migrated_database_does_not_differ(agentdb_sync_connection: Connection) -> None:
    """The catalogs say what the models say, predicates, expressions and labels included."""
    assert differences(agentdb_sync_connection) == []


@pytest.mark.parametrize("key", ON_BOTH)
def test_a_drift_is_found_and_closed_on_both(key: str, agentdb_sync_connection: Connection) -> None:
    """Indexes, tables and columns that take NULL are made again by the statements given."""
    run(agentdb_sync_connection, *ON_BOTH[key])
    (difference,) = differences(agentdb_sync_connection)
    assert (difference.key, difference.harmless, difference.informational) == (key, True, False)
    assert closed(agentdb_sync_connection) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("key", ON_POSTGRESQL)
def test_a_drift_is_found_and_closed_on_postgresql(
    key: str, agentdb_sync_connection: Connection
) -> None:
    """Constraints, types that hold more, expressions and NOT NULL are changed in place."""
    run(agentdb_sync_connection, *ON_POSTGRESQL[key])
    (difference,) = differences(agentdb_sync_connection)
    assert (difference.key, difference.harmless) == (key, True)
    assert closed(agentdb_sync_connection) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("key", NOT_CLOSED_ON_POSTGRESQL)
def test_a_drift_that_could_do_harm_is_left_to_a_person(
    key: str, agentdb_sync_connection: Connection
) -> None:
    """Nothing that changes rows, drops what others made, or relies on them is called harmless."""
    run(agentdb_sync_connection, *NOT_CLOSED_ON_POSTGRESQL[key])
    (difference,) = differences(agentdb_sync_connection)
    assert (difference.key, difference.harmless, difference.informational) == (key, False, False)


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.parametrize("key", ON_SQLITE)
def test_a_drift_of_a_table_is_found_on_sqlite(
    key: str, agentdb_sync_connection: Connection
) -> None:
    """SQLite changes no table in place, so there is no statement that would close it."""
    remake(agentdb_sync_connection, key.partition(".")[0], *ON_SQLITE[key])
    found = differences(agentdb_sync_connection)
    assert [(d.key, d.harmless, d.sql) for d in found] == [(key, False, None)]


def test_an_index_of_others_is_told_and_does_no_harm(
    agentdb_sync_connection: Connection,
) -> None:
    """One that restricts no row is informational."""
    run(agentdb_sync_connection, "CREATE INDEX theirs ON users (created_at)")
    (difference,) = differences(agentdb_sync_connection)
    assert (difference.key, difference.informational) == ("users.theirs:extra_index", True)


def test_a_table_of_the_host_is_never_taken_for_ours(
    agentdb_sync_connection: Connection,
) -> None:
    """A table that has our name and not our columns is told apart, and none of its own is read."""
    run(
        agentdb_sync_connection,
        "DROP TABLE workflow_run_steps",
        "CREATE TABLE workflow_run_steps (id integer PRIMARY KEY, login text, status text)",
    )
    (difference,) = differences(agentdb_sync_connection)
    assert difference.key == "workflow_run_steps:foreign_table"
    assert (difference.harmless, difference.sql) == (False, None)


def test_tables_of_other_names_are_never_looked_at(agentdb_sync_connection: Connection) -> None:
    """The host's tables are its own."""
    run(agentdb_sync_connection, "CREATE TABLE theirs (id integer, users text)")
    assert differences(agentdb_sync_connection) == []


def test_an_empty_database_lacks_the_46_tables_and_can_be_given_them(
    agentdb_empty_url: str,
) -> None:
    """The statements make what the migrations make, types, indexes and sequences included."""
    with make_sync_engine(agentdb_empty_url, Settings()).begin() as connection:
        if connection.dialect.name == "postgresql":
            run(connection, "CREATE EXTENSION citext")
        found = differences(connection)
        assert [(d.table, d.kind) for d in found] == [
            (table.name, Kind.MISSING_TABLE) for table in Base.metadata.sorted_tables
        ]
        assert closed(connection) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize(
    ("labels", "harmless"),
    [
        ("'active', 'locked'", True),
        ("'pending', 'disabled', 'active', 'locked'", False),
        ("'pending', 'active', 'disabled', 'locked', 'gone'", False),
    ],
)
def test_labels_and_their_order_are_compared(
    labels: str, harmless: bool, agentdb_sync_connection: Connection
) -> None:
    """Missing labels can be added in their place; others cannot be moved or taken away."""
    run(
        agentdb_sync_connection,
        "ALTER TABLE users ALTER status TYPE text",
        "DROP TYPE user_status",
        f"CREATE TYPE user_status AS ENUM ({labels})",
        "DROP INDEX ix_users_status",
        "ALTER TABLE users ALTER status TYPE user_status USING status::user_status",
        "CREATE INDEX ix_users_status ON users (status)",
    )
    (difference,) = differences(agentdb_sync_connection)
    assert (difference.key, difference.harmless) == ("users.user_status:enum", harmless)
    assert (closed(agentdb_sync_connection) == []) is harmless


@pytest.mark.agentdb_only("postgres")
def test_an_index_that_could_not_be_built_is_made_again(agentdb_url: str) -> None:
    """PostgreSQL keeps the ruin of a concurrent build, and does not use it."""
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        run(
            connection,
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_users_status'::regclass",
        )
        (difference,) = differences(connection)
        assert difference.key == "users.ix_users_status:index"
        assert closed(connection) == []


@pytest.mark.agentdb_only("postgres")
def test_a_named_schema_is_compared_beside_others(agentdb_url: str) -> None:
    """Its types and references lead into it, wherever citext lies; its names may need quotes."""
    engine = make_sync_engine(agentdb_url, Settings())
    with engine.begin() as connection:
        run(connection, "CREATE SCHEMA elsewhere", "ALTER EXTENSION citext SET SCHEMA elsewhere")
    migrate.upgrade(agentdb_url, schema="My schema")
    with engine.begin() as connection:
        assert differences(connection, schema="My schema") == []
        assert differences(connection) == []
        run(connection, 'DROP INDEX "My schema".ix_users_status')
        run(
            connection,
            'ALTER TABLE "My schema".users ALTER status TYPE public.user_status'
            " USING status::text::public.user_status",
        )
        found = differences(connection, schema="My schema")
        assert [d.key for d in found] == [
            "users.status:type",
            "users.ix_users_status:missing_index",
        ]
        assert found[0].found == "public.user_status"
        run(connection, *found[0].statements, *found[1].statements)
        assert differences(connection, schema="My schema") == []


@pytest.mark.agentdb_only("postgres")
def test_a_reference_into_another_schema_is_not_ours(agentdb_url: str) -> None:
    """A key that leads to the table of the same name elsewhere is a difference."""
    migrate.upgrade(agentdb_url, schema="apart")
    with make_sync_engine(agentdb_url, Settings()).begin() as connection:
        run(
            connection,
            "ALTER TABLE apart.user_profiles DROP CONSTRAINT fk_user_profiles_user_id",
            "ALTER TABLE apart.user_profiles ADD CONSTRAINT fk_user_profiles_user_id"
            " FOREIGN KEY (user_id) REFERENCES public.users (id) ON DELETE CASCADE",
        )
        (difference,) = differences(connection, schema="apart")
        assert difference.key == "user_profiles.fk_user_profiles_user_id:foreign_key"


@pytest.mark.agentdb_only("postgres")
def test_a_role_that_may_only_read_can_compare(agentdb_sync_connection: Connection) -> None:
    """Nothing is written, and no row is read."""
    run(agentdb_sync_connection, "CREATE ROLE agentdb_reader", "SET LOCAL ROLE agentdb_reader")
    assert differences(agentdb_sync_connection) == []


def test_the_comparison_takes_few_statements(agentdb_sync_connection: Connection) -> None:
    """The catalogs are read for all tables at once."""
    engine: Engine = agentdb_sync_connection.engine
    sent: list[str] = []

    def count(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(engine, "before_cursor_execute", count)
    differences(agentdb_sync_connection)
    event.remove(engine, "before_cursor_execute", count)
    assert len([statement for statement in sent if not statement.startswith("BEGIN")]) == 4


def test_a_difference_reads_as_a_sentence_and_as_json(
    agentdb_sync_connection: Connection,
) -> None:
    """People and programs get the same facts."""
    run(agentdb_sync_connection, *ON_BOTH["user_sessions.ix_user_sessions_idle:index"])
    (difference,) = differences(agentdb_sync_connection)
    assert str(difference) == (
        "user_sessions.ix_user_sessions_idle: index is"
        " INDEX (last_seen_at, id) WHERE (revoked_at IS NOT NULL),"
        " expected INDEX (last_seen_at, id) WHERE (revoked_at IS NULL)"
    )
    assert difference.as_dict() == {
        "key": "user_sessions.ix_user_sessions_idle:index",
        "table": "user_sessions",
        "kind": "index",
        "item": "ix_user_sessions_idle",
        "expected": "INDEX (last_seen_at, id) WHERE (revoked_at IS NULL)",
        "found": "INDEX (last_seen_at, id) WHERE (revoked_at IS NOT NULL)",
        "harmless": True,
        "informational": False,
        "sql": "DROP INDEX ix_user_sessions_idle;\n"
        "CREATE INDEX ix_user_sessions_idle ON user_sessions (last_seen_at, id)"
        " WHERE revoked_at IS NULL;",
    }


@pytest.mark.agentdb_only("sqlite")
def test_a_table_written_by_hand_is_read_as_well(agentdb_sync_connection: Connection) -> None:
    """Quotation marks, comments, rules beside their columns and cases of letters do not matter."""
    run(
        agentdb_sync_connection,
        "DROP TABLE user_consents",
        """create table if not exists "user_consents" (
            `id` char(32) not null constraint pk_user_consents primary key, -- a comment, with (
            user_id char(32) not null
                constraint fk_user_consents_user_id references "users" (id) on delete cascade,
            policy_key varchar( 64 ) not null, /* another */ version varchar(32) not null,
            accepted_at datetime not null, ip_hash varchar(128), user_agent_hash varchar(128),
            created_at datetime not null,
            constraint uq_user_consents_user_id_policy_key_version
                unique (user_id, policy_key, "version"))""",
        "create index ix_user_consents_user_policy on user_consents (user_id, policy_key asc)",
    )
    assert [str(d) for d in differences(agentdb_sync_connection)] == []


def test_a_transaction_that_may_only_read_can_compare(agentdb_url: str) -> None:
    """No table is made to ask the server with, so that a standby or a read-only file will do."""
    with make_sync_engine(agentdb_url, Settings()).connect() as connection, reading(connection):
        if connection.dialect.name == "postgresql":
            run(connection, "SET TRANSACTION READ ONLY")
        assert differences(connection) == []
