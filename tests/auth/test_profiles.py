from __future__ import annotations

from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import DuplicateError, NotFoundError, ValueTooLongError
from agentdb.models import UserProfile
from agentdb.testing import Factory, run_concurrently


async def test_a_profile_takes_what_is_given(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The first call makes it, later ones change what they name; None clears a column."""
    user = agentdb_make.user()
    put = agentdb_uow.user_profiles.put
    made = await put(user.id, display_name="  Ada   Lovelace ", locale="en")
    changed = await put(user.id, locale=None, timezone="Europe/London")
    same = await put(user.id)

    assert made is changed is same
    assert (made.display_name, made.locale, made.timezone) == (
        "Ada Lovelace",
        None,
        "Europe/London",
    )


async def test_a_stranger_has_no_profile(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Neither nobody nor somebody of another tenant; a refused value leaves the profile alone."""
    stranger = agentdb_make.user(tenant=agentdb_make.tenant_account())
    for user_id in (stranger.id, uuid4()):
        with pytest.raises(NotFoundError):
            await agentdb_uow.user_profiles.put(user_id, display_name="x")
    user = agentdb_make.user()
    await agentdb_uow.user_profiles.put(user.id, locale="en")
    with pytest.raises(ValueTooLongError):
        await agentdb_uow.user_profiles.put(user.id, locale="x" * 33)

    row = await agentdb_uow.user_profiles.by_user_id(user.id)
    assert row is not None
    assert row.locale == "en"


async def test_a_second_profile_is_refused(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Of a user there is one."""
    user = agentdb_make.user()
    await agentdb_uow.user_profiles.put(user.id)
    with pytest.raises(DuplicateError):
        await agentdb_uow.user_profiles.add(UserProfile(user_id=user.id))


@pytest.mark.agentdb_commits
async def test_eight_first_profiles_are_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed, and what each gave is in the row."""
    user = agentdb_make.user()
    columns = ("display_name", "given_name", "family_name", "timezone")

    async def call(number: int) -> None:
        async with agentdb_database.begin_system(reason="test") as uow:
            values = {columns[number % 4]: "x"}
            await uow.user_profiles.put(user.id, **values)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- the names are columns

    outcomes = await run_concurrently(8, call, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.begin_system(reason="test") as uow:
        (row,) = await uow.user_profiles.all()
        assert {getattr(row, column) for column in columns} == {"x"}
