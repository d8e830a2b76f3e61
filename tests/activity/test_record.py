from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agentdb import UnitOfWork
from agentdb.activity import actions
from agentdb.activity.actions import register_action
from agentdb.errors import InvalidValueError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test registers."""
    monkeypatch.setattr(actions, "_REGISTERED", {})


async def test_an_event_is_recorded(agentdb_uow: UnitOfWork) -> None:
    """With what the caller knows of it; a user agent is cut to what is kept."""
    event = await agentdb_uow.activity_events.record(
        "host.thing.done",
        object_type="thing",
        object_id="7",
        user_agent="x" * 600,
        metadata_json={"any": "key"},
        now=NOON,
    )

    assert (event.action, event.object_id, event.status) == ("host.thing.done", "7", "success")
    assert (event.tenant_id, event.created_at) == (agentdb_uow.tenant, NOON)
    assert event.user_agent == "x" * 512
    assert event.metadata_json == {"any": "key"}


@pytest.mark.parametrize("metadata", [None, {}, {"title": 1}, {"plan": 1, "secret": 2}])
async def test_metadata_that_a_host_does_not_expect_is_refused(
    agentdb_uow: UnitOfWork, metadata: dict[str, Any] | None
) -> None:
    """A required key is missing, or one is not allowed; the unit goes on."""
    register_action("host.thing.done", required=["plan"], allowed=["title"])
    record = agentdb_uow.activity_events.record
    with pytest.raises(InvalidValueError, match=r"activity_events\.metadata_json"):
        await record("host.thing.done", metadata_json=metadata)

    await record("host.thing.done", metadata_json={"plan": 1, "title": 2})
    await record("host.other.done", metadata_json=metadata)
    assert await agentdb_uow.activity_events.count() == 2


async def test_keys_beside_the_required_ones_are_free_unless_listed(
    agentdb_uow: UnitOfWork,
) -> None:
    """Registering again replaces what was said before."""
    register_action("host.thing.done", allowed=[])
    register_action("host.thing.done", required=["plan"])

    await agentdb_uow.activity_events.record("host.thing.done", metadata_json={"plan": 1, "x": 2})
    with pytest.raises(InvalidValueError):
        await agentdb_uow.activity_events.record("host.thing.done")


@pytest.mark.parametrize("values", [{"actor_type": "robot"}, {"object_id": "x" * 129}])
async def test_a_refused_event_is_not_recorded(
    agentdb_uow: UnitOfWork, values: dict[str, Any]
) -> None:
    """A column refuses its value."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.activity_events.record("host.thing.done", **values)

    assert await agentdb_uow.activity_events.count() == 0
