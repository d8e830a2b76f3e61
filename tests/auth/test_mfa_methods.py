from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.auth.models import UserMfaMethod
from agentdb.auth.values import MfaMethodType
from agentdb.errors import (
    DuplicateError,
    InvalidTransitionError,
    NaiveDatetimeError,
    NotFoundError,
    ValueTooLongError,
)
from agentdb.testing import Factory, run_concurrently
from agentdb.types import utc_now
from tests.plans import plans_of

STEP = timedelta(seconds=30)
NOW = utc_now()


async def test_a_method_counts_once_it_is_confirmed(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """And the first confirmation stays."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    totp = await methods.enroll_totp(user.id, b"sealed", label="phone", now=NOW)
    key = await methods.enroll_webauthn(user.id, {"id": "key"}, label="key")

    assert (totp.method_type, totp.secret_encrypted) == (MfaMethodType.TOTP, b"sealed")
    assert (key.method_type, key.credential_json) == (MfaMethodType.WEBAUTHN, {"id": "key"})
    assert {totp.created_at, totp.updated_at} == {NOW}
    assert await methods.active(user.id) == []
    assert (await methods.confirm(totp.id, user.id, now=NOW)) is totp
    assert (await methods.confirm(totp.id, user.id, now=NOW + STEP)).verified_at == NOW
    assert await methods.active(user.id) == [totp]


async def test_an_enrolment_that_was_not_confirmed_is_replaced(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """By a row with another id: a late confirmation does not confirm the new secret."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    first = await methods.enroll_totp(user.id, b"first", label="phone")
    second = await methods.enroll_webauthn(user.id, {"id": "second"}, label="phone")

    assert [row.id for row in await methods.all()] == [second.id]
    with pytest.raises(NotFoundError):
        await methods.confirm(first.id, user.id)


async def test_a_label_in_use_is_taken(agentdb_uow: UnitOfWork, agentdb_make: Factory) -> None:
    """Until its method is revoked; labels of others do not count."""
    ada, eve, methods = agentdb_make.user(), agentdb_make.user(), agentdb_uow.user_mfa_methods
    row = await methods.enroll_totp(ada.id, b"1", label="phone")
    await methods.confirm(row.id, ada.id)

    with pytest.raises(DuplicateError):
        await methods.enroll_webauthn(ada.id, {"id": "2"}, label="phone")
    await methods.enroll_totp(eve.id, b"3", label="phone")
    assert await methods.revoke(row.id, ada.id, "lost")
    await methods.enroll_totp(ada.id, b"4", label="phone")


@pytest.mark.parametrize("label", ["phone", "é" * 64, None])
async def test_a_revocation_frees_the_label(
    agentdb_uow: UnitOfWork, agentdb_make: Factory, label: str | None
) -> None:
    """Twice in a row, and with a label as long as may be; time and reason of the first stay."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    rows: list[UserMfaMethod] = []
    for number in range(2):
        row = await methods.enroll_totp(user.id, b"sealed", label=label)
        rows.append(await methods.confirm(row.id, user.id))
        assert await methods.revoke(row.id, user.id, f"lost {number}", now=NOW)
        assert not await methods.revoke(row.id, user.id, "again", now=NOW + STEP)

    assert [row.revoked_reason for row in rows] == ["lost 0", "lost 1"]
    assert {row.revoked_at for row in rows} == {NOW}
    freed = None if label is None else label[:31]
    assert [row.label for row in rows] == [freed and f"{freed}~{row.id.hex}" for row in rows]


async def test_a_label_that_a_revoked_method_still_has_is_free(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """As in a database whose rows were revoked by other means."""
    user = agentdb_make.user()
    old = agentdb_make.user_mfa_method(user=user, label="phone", revoked_at=NOW)
    new = await agentdb_uow.user_mfa_methods.enroll_totp(user.id, b"new", label="phone")

    rows = await agentdb_uow.user_mfa_methods.get_many([old.id, new.id])
    assert rows[old.id].label == f"phone~{old.id.hex}"
    assert rows[new.id].label == "phone"


async def test_methods_without_a_label_do_not_meet(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Only an enrolment of the same type that was not confirmed is replaced."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    confirmed = await methods.enroll_totp(user.id, b"1")
    await methods.confirm(confirmed.id, user.id)
    key = await methods.enroll_webauthn(user.id, {"id": "2"})
    await methods.enroll_totp(user.id, b"3")
    last = await methods.enroll_totp(user.id, b"4")

    assert {row.id for row in await methods.all()} == {confirmed.id, key.id, last.id}


async def test_the_method_of_another_user_is_unknown(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """Whatever is done with it."""
    ada, eve, methods = agentdb_make.user(), agentdb_make.user(), agentdb_uow.user_mfa_methods
    row = await methods.enroll_totp(ada.id, b"1")

    with pytest.raises(NotFoundError):
        await methods.confirm(row.id, eve.id)
    await methods.confirm(row.id, ada.id)
    assert not await methods.use(row.id, eve.id, NOW)
    assert not await methods.revoke(row.id, eve.id, "lost")
    with pytest.raises(NotFoundError):
        await methods.enroll_totp(uuid4(), b"2")


async def test_a_revoked_method_is_of_no_use(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """It is neither confirmed nor accepted any more."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    row = await methods.enroll_totp(user.id, b"1")
    assert not await methods.use(row.id, user.id, NOW)
    await methods.confirm(row.id, user.id)
    await methods.revoke(row.id, user.id, "lost")

    assert not await methods.use(row.id, user.id, NOW)
    with pytest.raises(InvalidTransitionError):
        await methods.confirm(row.id, user.id)


async def test_no_step_passes_twice_and_none_goes_back(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """The next one passes; a naive instant is refused."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    row = await methods.enroll_totp(user.id, b"1")
    await methods.confirm(row.id, user.id)
    steps = [NOW, NOW, NOW - STEP, NOW + STEP, NOW]

    assert [await methods.use(row.id, user.id, step) for step in steps] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert row.last_used_at == NOW + STEP
    with pytest.raises(NaiveDatetimeError):
        await methods.use(row.id, user.id, NOW.replace(tzinfo=None))


@pytest.mark.agentdb_commits
async def test_of_64_codes_of_one_step_one_is_accepted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whoever has seen the code is too late."""
    method = agentdb_make.user_mfa_method(verified_at=NOW - STEP)
    tenant = agentdb_make.tenant.id

    async def use(_: int) -> bool:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.user_mfa_methods.use(method.id, method.user_id, NOW)

    outcomes = await run_concurrently(64, use, database=agentdb_database)

    assert sorted(outcomes.results) == [False] * 63 + [True]


@pytest.mark.agentdb_commits
async def test_eight_enrolments_of_one_label_leave_one(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed, one after the other: each replaces the one before."""
    tenant, user = agentdb_make.tenant.id, agentdb_make.user().id

    async def enroll(number: int) -> UserMfaMethod:
        async with agentdb_database.begin(tenant=tenant) as uow:
            return await uow.user_mfa_methods.enroll_totp(user, b"%d" % number, label="phone")

    outcomes = await run_concurrently(8, enroll, database=agentdb_database)

    assert outcomes.errors == []
    async with agentdb_database.read(tenant=tenant) as uow:
        (left,) = await uow.user_mfa_methods.all()
    assert left.id in {row.id for row in outcomes.results}


async def test_a_refused_enrolment_leaves_the_half_done_one(
    agentdb_uow: UnitOfWork, agentdb_make: Factory
) -> None:
    """What it has removed is back."""
    user, methods = agentdb_make.user(), agentdb_uow.user_mfa_methods
    row = await methods.enroll_totp(user.id, b"1")

    with pytest.raises(ValueTooLongError):
        await methods.enroll_totp(user.id, b"2", label="x" * 65)
    assert [found.id for found in await methods.all()] == [row.id]


@pytest.mark.agentdb_plans
async def test_a_log_in_looks_methods_up_by_user(agentdb_database: Database) -> None:
    """No table is read from end to end."""
    async with agentdb_database.begin_system(reason="test") as uow:
        (plan,) = await plans_of(uow, uow.user_mfa_methods.active(uuid4()))

    plan.assert_scans_nothing()
