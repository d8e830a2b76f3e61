"""Values that a type refuses, wherever they come from."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from agentdb import Database, UnitOfWork, configure
from agentdb.driver_errors import orm_errors
from agentdb.errors import (
    AgentDBError,
    DuplicateError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    StaleVersionError,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from agentdb.models import BillingPlan
from agentdb.urls import async_url
from tests.driver_errors.refusals import CANARY, plan, shown

REFUSED: list[tuple[dict[str, Any], type[InvalidValueError]]] = [
    ({"code": CANARY * 10}, ValueTooLongError),
    ({"code": f"{CANARY}\x00"}, InvalidValueError),
    ({"code": f"{CANARY}\ud800"}, InvalidValueError),
    ({"code": 5}, InvalidValueError),
    ({"name": f"{CANARY}{'x' * 128}"}, ValueTooLongError),
    ({"price_cents": 2**31}, ValueOutOfRangeError),
    ({"price_cents": -(2**31) - 1}, ValueOutOfRangeError),
    ({"price_cents": 10**30}, ValueOutOfRangeError),
    ({"price_cents": CANARY}, InvalidValueError),
    ({"price_cents": 1.5}, InvalidValueError),
    ({"price_cents": True}, InvalidValueError),
    ({"interval": CANARY}, InvalidValueError),
    ({"is_active": 1}, InvalidValueError),
    ({"created_at": datetime(2025, 1, 1)}, NaiveDatetimeError),  # noqa: DTZ001 -- is refused
    ({"created_at": CANARY}, InvalidValueError),
    ({"feature_toggles": {CANARY: float("nan")}}, InvalidValueError),
    ({"feature_toggles": {"k": f"{CANARY}\x00"}}, InvalidValueError),
    ({"id": CANARY}, InvalidValueError),
]


@pytest.mark.parametrize(("values", "kind"), REFUSED)
async def test_a_refused_value_raises_alike_by_every_verb(
    system: UnitOfWork, values: dict[str, Any], kind: type[InvalidValueError]
) -> None:
    """By add, add_many, update, upsert and Core; the value is not shown and the unit goes on."""
    (column,) = values
    kept = await system.billing_plans.add(plan(like="kept"))
    full = {"code": "b", "name": "b", "price_cents": 1, **values}
    calls: list[Any] = [
        lambda: system.billing_plans.add(plan(like="b", **values)),
        lambda: system.billing_plans.add_many(
            [plan(like="a"), plan(like="b", **values), plan(like="c")]
        ),
        lambda: system.billing_plans.upsert(full, ["code"]),
        lambda: system.session.execute(insert(BillingPlan), [full, full]),
    ]
    if column != "id":
        calls.append(lambda: system.billing_plans.update(kept.id, **values))
    for call in calls:
        with pytest.raises(kind) as caught:
            await call()
        assert kind is type(caught.value)
        assert CANARY not in shown(caught.value)
        assert ("billing_plans", column) == (caught.value.table, caught.value.column)

    assert [kept] == await system.billing_plans.all()
    assert kept.code == "kept"


async def test_after_an_error_the_unit_commits_the_rest(agentdb_database: Database) -> None:
    """What a verb refused is undone alone: everything before and after it is stored."""
    async with agentdb_database.begin_system(reason="test") as unit:
        first = await unit.billing_plans.add(plan(like="first"))
        failures: list[tuple[type[AgentDBError], Any]] = [
            (DuplicateError, unit.billing_plans.add(plan(like="first"))),
            (DuplicateError, unit.billing_plans.add_many([plan(like="x"), plan(like="first")])),
            (InvalidValueError, unit.billing_plans.update(first.id, name=None)),
            (
                NotFoundError,
                unit.plan_features.upsert(
                    {"plan_id": uuid4(), "feature_key": "f"}, ["plan_id", "feature_key"]
                ),
            ),
            (NotFoundError, unit.billing_plans.update(uuid4(), name="x")),
            (InvalidValueError, unit.billing_plans.page(limit=0)),
        ]
        for kind, failing in failures:
            with pytest.raises(kind):
                await failing
        await unit.billing_plans.add(plan(like="last"))
    async with agentdb_database.read(reason="test") as unit:
        codes = {row.code for row in await unit.billing_plans.all()}

    assert {"first", "last"} == codes


async def test_an_over_long_value_is_the_same_error_wherever_the_row_comes_from(
    agentdb_session: AsyncSession,
) -> None:
    """A host's own flush raises our error too, without the value."""
    unit = UnitOfWork(agentdb_session, system="a host's session")
    agentdb_session.add(plan(like=CANARY * 20))
    with pytest.raises(ValueTooLongError) as caught:
        await agentdb_session.flush()

    assert CANARY not in shown(caught.value)
    await agentdb_session.rollback()
    assert not await unit.billing_plans.exists()


async def test_a_row_that_vanished_is_stale(system: UnitOfWork) -> None:
    """A host's flush of a row that a statement has deleted is a StaleVersionError."""
    row = await system.billing_plans.add(plan(like="a"))
    await system.session.execute(
        text("DELETE FROM billing_plans"), execution_options={"agentdb_confined": True}
    )
    row.name = CANARY
    with pytest.raises(StaleVersionError) as caught:
        await system.billing_plans.all()

    assert CANARY not in shown(caught.value)
    await system.session.rollback()


def test_errors_of_the_orm_are_translated() -> None:
    """What SQLAlchemy raises by itself is an AgentDBError that names the class alone."""
    with pytest.raises(AgentDBError, match="InvalidRequestError") as caught, orm_errors():
        raise InvalidRequestError(CANARY)
    assert CANARY not in str(caught.value)


@pytest.mark.agentdb_only("postgres")
async def test_a_value_that_the_driver_refuses_is_invalid(system: UnitOfWork) -> None:
    """Past our types, in a host's own SQL, the driver says no before the server does."""
    with pytest.raises(InvalidValueError) as caught:
        await system.session.execute(text("SELECT CAST(:v AS text)"), {"v": f"{CANARY}\x00"})

    assert CANARY not in shown(caught.value)


@pytest.mark.agentdb_only("postgres")
async def test_a_statement_that_the_driver_cannot_send_is_no_lost_connection(
    system: UnitOfWork,
) -> None:
    """It has too many parameters; the unit goes on, and trying again would not help."""
    many = select(BillingPlan.id).where(BillingPlan.price_cents.in_(range(70_000)))
    with pytest.raises(AgentDBError) as caught:
        await system.execute(many)

    assert type(caught.value) is AgentDBError
    assert await system.billing_plans.all() == []


async def test_every_error_of_a_hosts_engine_is_translated(agentdb_url: str) -> None:
    """An engine of the host raises the same errors once it is configured."""
    engine = create_async_engine(async_url(agentdb_url))
    configure(engine)
    async with AsyncSession(engine) as session:
        unit = UnitOfWork(session, system="a host's session")
        await unit.billing_plans.add(plan(like="a"))
        with pytest.raises(DuplicateError) as caught:
            await unit.billing_plans.add(plan(like="a", name=CANARY))
        await session.commit()
        assert len((await session.execute(select(BillingPlan))).all()) == 1
    await engine.dispose()

    assert caught.value.constraint == "uq_billing_plans_code"
    assert CANARY not in shown(caught.value)
