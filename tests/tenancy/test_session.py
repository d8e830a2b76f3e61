"""Ways into a session besides statements: reloads, attached rows, legacy queries, bulk methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, inspect, select, update
from sqlalchemy.exc import InvalidRequestError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncResult
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.exc import ObjectDeletedError

from agentdb.database import Database
from agentdb.errors import AgentDBError, NotFoundError, PermissionDeniedError, TenantMismatchError
from agentdb.models import AgentConversation, TenantAccount
from agentdb.testing import capture_statements
from agentdb.unit_of_work import UnitOfWork
from tests.rows import table_of
from tests.tenancy.worlds import World, foreign_changes, leaks, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

C = AgentConversation
Way = Callable[[UnitOfWork, UUID], Awaitable[Any]]
"""Tries to reach the conversation with a key."""


def on_session(work: Callable[[Session, UUID], Any]) -> Way:
    """Return a way through the synchronous session."""
    return lambda unit, key: unit.session.run_sync(work, key)


def attached(session: Session, key: UUID, **values: Any) -> C:
    """Attach a row that says it is the unit's own and stored under *key*."""
    (tenant,) = session.execute(select(TenantAccount.id)).scalars()
    row = C(id=key, conversation_key="", tenant_id=tenant, agent_entrypoint="", **values)
    make_transient_to_detached(row)
    session.add(row)
    return row


def refreshed(session: Session, key: UUID, *names: str) -> C:
    """Attach a row and read it anew."""
    row = attached(session, key)
    session.refresh(row, names or None)
    return row


def expired(session: Session, key: UUID) -> str | None:
    """Attach a row, forget its columns and read one."""
    row = attached(session, key)
    session.expire(row)
    return row.display_name


def renamed(session: Session, key: UUID) -> None:
    """Attach a row and change it."""
    attached(session, key).display_name = "hack"
    session.flush()


def deleted(session: Session, key: UUID) -> None:
    """Attach a row and delete it."""
    session.delete(attached(session, key))
    session.flush()


def merged_unread(session: Session, key: UUID) -> None:
    """Merge a row as it is, from a cache, and change it."""
    (tenant,) = session.execute(select(TenantAccount.id)).scalars()
    row = C(id=key, conversation_key="x", tenant_id=tenant, agent_entrypoint="x")
    make_transient_to_detached(row)
    session.merge(row, load=False).display_name = "hack"
    session.flush()


def merged(session: Session, key: UUID) -> None:
    """Merge a row that says it is the unit's own."""
    (tenant,) = session.execute(select(TenantAccount.id)).scalars()
    session.merge(C(id=key, conversation_key="x", tenant_id=tenant, agent_entrypoint="x"))
    session.flush()


async def listed(stream: Awaitable[AsyncResult[Any]]) -> list[Any]:
    """Return what a stream yields."""
    return [row async for row in await stream]


FINDS_NOTHING: dict[str, Way] = {
    "get": lambda unit, key: unit.session.get(C, key),
    "get locked": lambda unit, key: unit.session.get(C, key, with_for_update=True),
    "get anew": lambda unit, key: unit.session.get(C, key, populate_existing=True),
    "scalar": lambda unit, key: unit.session.scalar(select(C).where(C.id == key)),
    "stream": lambda unit, key: listed(unit.session.stream(select(C).where(C.id == key))),
    "legacy query": on_session(lambda s, key: s.query(C).filter_by(id=key).all()),
    "legacy query of a column": on_session(
        lambda s, key: s.query(C.display_name).filter_by(id=key).all()
    ),
    "legacy count": on_session(lambda s, key: s.query(C).filter_by(id=key).count()),
    "legacy update": on_session(
        lambda s, key: s.query(C).filter_by(id=key).update({"display_name": "hack"})
    ),
    "legacy delete": on_session(lambda s, key: s.query(C).filter_by(id=key).delete()),
}
REFUSED: dict[str, tuple[type[Exception], Way]] = {
    "get one": (NoResultFound, lambda unit, key: unit.session.get_one(C, key)),
    "refresh": (InvalidRequestError, on_session(refreshed)),
    "refresh of a column": (
        InvalidRequestError,
        on_session(lambda s, key: refreshed(s, key, "display_name")),
    ),
    "expire": (ObjectDeletedError, on_session(expired)),
    "change of an attached row": (NotFoundError, on_session(renamed)),
    "deletion of an attached row": (NotFoundError, on_session(deleted)),
    "merge without a look": (NotFoundError, on_session(merged_unread)),
    "merge": (AgentDBError, on_session(merged)),
    "stream of a table": (
        PermissionDeniedError,
        lambda unit, _: listed(unit.session.stream(select(table_of(C)))),
    ),
    "update by keys": (
        PermissionDeniedError,
        lambda unit, key: unit.session.execute(update(C), [{"id": key, "display_name": "hack"}]),
    ),
    "update of the owner by a parameter": (
        TenantMismatchError,
        lambda unit, key: unit.session.execute(update(C), {"tenant_id": key}),
    ),
    "insert of many": (
        PermissionDeniedError,
        lambda unit, key: unit.session.execute(insert(C), [{"id": key}]),
    ),
    "bulk insert": (
        PermissionDeniedError,
        on_session(lambda s, key: s.bulk_insert_mappings(inspect(C), [{"id": key}])),
    ),
    "bulk update": (
        PermissionDeniedError,
        on_session(
            lambda s, key: s.bulk_update_mappings(inspect(C), [{"id": key, "display_name": "hack"}])
        ),
    ),
    "bulk save": (
        PermissionDeniedError,
        on_session(lambda s, key: s.bulk_save_objects([attached(s, key, display_name="hack")])),
    ),
}


@pytest.mark.parametrize("way", FINDS_NOTHING.values(), ids=FINDS_NOTHING)
async def test_no_way_leads_to_a_foreign_row(world: World, database: Database, way: Way) -> None:
    """A session of a tenant finds no row of another by its key, and changes none."""
    foreign, own = world.alpha["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=own) as unit:
        found = await way(unit, foreign)

        assert not found
        assert await foreign_changes(world, unit) == []


@pytest.mark.parametrize(("error", "way"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_confined_is_refused(
    world: World, database: Database, error: type[Exception], way: Way
) -> None:
    """Rows that the session has not read are not written, and bulk methods not run at all."""
    foreign, own = world.alpha["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=own) as unit:
        with pytest.raises(error) as caught:
            async with unit.session.begin_nested():
                await way(unit, foreign)

        assert leaks(world, str(caught.value)) == []
        assert await foreign_changes(world, unit) == []


async def test_an_attached_row_of_the_tenant_is_written(world: World, database: Database) -> None:
    """What the tenant owns may come from a cache: it is checked and written."""
    key, own = world.beta["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=own) as unit:
        await unit.session.run_sync(renamed, key)
        found = await unit.agent_conversations.require(key)

        assert found.display_name == "hack"


async def test_a_changed_row_that_was_read_costs_no_further_look(
    world: World, database: Database
) -> None:
    """Only attached rows are looked up again before they are written."""
    key, own = world.beta["agent_conversations"].id, world.beta["tenant_accounts"].id
    async with unit_of(database, tenant=own) as unit:
        found = await unit.agent_conversations.require(key)
        found.display_name = "renamed"
        with capture_statements(unit) as sent:
            await unit.session.flush()

        assert [statement.split()[0] for statement in sent] == ["UPDATE"]
