"""Keys of conversations get the id of their tenant."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Connection, select

from agentdb.adoption import Survey, adopt, survey
from agentdb.errors import SchemaVersionError
from agentdb.migrate import current
from agentdb.models import AgentConversation, WorkflowRun
from tests.adoption.old import engine_of, filled, forget
from tests.catalog.drift import remake, run
from tests.rows import row_of, store

PLACE = "agent_conversations.conversation_key"


def survey_of(url: str) -> Survey:
    """Return the survey of a database."""
    with engine_of(url).connect() as connection:
        return survey(connection)


def keys(connection: Connection) -> set[str]:
    """Return the stored keys."""
    return set(connection.scalars(select(AgentConversation.conversation_key)))


def test_bare_keys_are_rewritten_together_with_the_runs(agentdb_url: str) -> None:
    """Conversations are found by their key again, and no run loses its conversation."""
    forget(agentdb_url)
    other = f"{uuid4()}:x"
    with filled(agentdb_url) as (session, rows):
        made = [
            row_of("agent_conversations", label, rows, conversation_key=key)
            for label, key in (("one", "support-42"), ("two", "é%_'"), ("three", other))
        ]
        store(session, made)
        parents = {**rows, "agent_conversations": made[0]}
        store(session, [row_of("workflow_runs", "one", parents)])
        stamps = {row.id: row.updated_at for row in made}
        tenant = rows["tenant_accounts"].id
    assert survey_of(agentdb_url).bare_keys.count == 3
    found = adopt(agentdb_url)
    assert (found.bare_keys.count, found.bare_keys.too_long.count) == (3, 0)
    with engine_of(agentdb_url).begin() as connection:
        assert keys(connection) == {
            f"{tenant}:{key}" for key in ("acme", "support-42", "é%_'", other)
        }
        runs = set(connection.scalars(select(WorkflowRun.conversation_id)))
        assert runs == {f"{tenant}:acme", f"{tenant}:support-42"}
        query = select(AgentConversation.id, AgentConversation.updated_at)
        now = {row.id: row.updated_at for row in connection.execute(query)}
    assert now.items() >= stamps.items()
    assert survey_of(agentdb_url).bare_keys.count == 0


def test_keys_that_would_be_too_long_or_taken_are_listed_and_refused(agentdb_url: str) -> None:
    """Nothing is cut and nothing merged; a person may leave such keys as they are."""
    forget(agentdb_url)
    with filled(agentdb_url) as (session, rows):
        long = row_of("agent_conversations", "long", rows, conversation_key="k" * 219)
        taken = row_of("agent_conversations", "taken", rows, conversation_key="acme")
        fits = row_of("agent_conversations", "fits", rows, conversation_key="f" * 218)
        store(session, [long, taken, fits])
    found = survey_of(agentdb_url).bare_keys
    assert found.count == 1
    assert [len(found.too_long.examples), len(found.taken.examples)] == [1, 1]
    assert [found.too_long.count, found.taken.count] == [1, 1]
    with pytest.raises(SchemaVersionError, match="too_long"):
        adopt(agentdb_url)
    with pytest.raises(SchemaVersionError, match="taken"):
        adopt(agentdb_url, accept=[f"{PLACE}:too_long"])
    assert current(agentdb_url) is None
    adopt(agentdb_url, accept=[f"{PLACE}:too_long", f"{PLACE}:taken"])
    with engine_of(agentdb_url).begin() as connection:
        stored = keys(connection)
    assert {"k" * 219, "acme"} <= stored
    assert f"{rows['tenant_accounts'].id}:{'f' * 218}" in stored


def test_columns_of_another_type_are_rewritten_as_well(agentdb_url: str) -> None:
    """Who accepts that keys are text of any length still gets keys that can be found."""
    forget(agentdb_url)
    with engine_of(agentdb_url).begin() as connection:
        if connection.dialect.name == "postgresql":
            run(
                connection,
                "ALTER TABLE agent_conversations ALTER conversation_key TYPE text",
                "ALTER TABLE workflow_runs ALTER conversation_id TYPE text",
            )
        else:
            old, new = "conversation_key VARCHAR(255)", "conversation_key TEXT"
            remake(connection, "agent_conversations", old, new)
            old, new = "conversation_id VARCHAR(255)", "conversation_id TEXT"
            remake(connection, "workflow_runs", old, new)
    with filled(agentdb_url) as (session, rows):
        bare = row_of("agent_conversations", "one", rows, conversation_key="bare")
        parents = {**rows, "agent_conversations": bare}
        store(session, [bare, row_of("workflow_runs", "one", parents)])
    adopt(agentdb_url, accept=["*:type"])
    with engine_of(agentdb_url).begin() as connection:
        wanted = {f"{rows['tenant_accounts'].id}:{key}" for key in ("acme", "bare")}
        assert keys(connection) == wanted
        assert set(connection.scalars(select(WorkflowRun.conversation_id))) == wanted
