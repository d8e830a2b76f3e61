"""Rows that a system unit finds by a unique value: entities like any others."""

from __future__ import annotations

from sqlalchemy import text

from agentdb.database import Database
from agentdb.models import User
from agentdb.testing import Factory, capture_statements


async def test_a_row_that_is_known_is_brought_up_to_date(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A unit has one entity for a row, whichever verb has read it."""
    user = agentdb_make.user(email="a@example.com")
    async with agentdb_database.begin_system(reason="test") as uow:
        known = await uow.users.require(user.id)
        await uow.session.execute(text("UPDATE users SET status = 'disabled'"))
        found = await uow.users.by_email("a@example.com")

    assert found is known
    assert known.status == "disabled"


async def test_what_was_not_flushed_is_not_lost(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The changes of the host are written before the look-up reads."""
    user = agentdb_make.user(email="a@example.com")
    async with agentdb_database.begin_system(reason="test") as uow:
        known = await uow.users.require(user.id)
        known.password_hash = "changed"
        new = User(email="b@example.com", password_hash="x")
        uow.session.add(new)
        found = await uow.users.by_email("a@example.com")
        other = await uow.users.by_email("b@example.com")

        assert (found, other) == (known, new)
        assert known.password_hash == "changed"


async def test_a_row_that_was_found_can_be_changed(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """It is stored, not new, and it is read and written once."""
    agentdb_make.user(email="a@example.com")
    async with agentdb_database.begin_system(reason="test") as uow:
        found = await uow.users.by_email("a@example.com")
        assert found is not None
        found.password_hash = "changed"
        with capture_statements(uow) as sent:
            await uow.session.flush()
        await uow.session.refresh(found)

        assert [line.partition(" ")[0] for line in sent] == ["UPDATE"]
        assert found.password_hash == "changed"


async def test_deleted_rows_are_seen_on_request(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """As by any other verb."""
    store = agentdb_make.vector_store(openai_id="vs_1")
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.vector_stores.soft_delete(store.id)
        hidden = await uow.vector_stores.by_openai_id("vs_1")
        shown = await uow.vector_stores.by_openai_id("vs_1", include_deleted=True)

    assert hidden is None
    assert shown is not None
    assert shown.id == store.id
