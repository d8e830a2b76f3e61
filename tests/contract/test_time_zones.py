"""Instants are the same in every time zone that a process may be in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from agentdb import Database
from agentdb.errors import NaiveDatetimeError
from agentdb.maintenance import roll_up_usage
from agentdb.orm import Base
from agentdb.testing import Factory
from agentdb.types import UTCDateTime, utc_now
from tests.rows import MODELS, attribute_of, key_of, table_of

STAMPED = {
    name: [c for c in table_of(model).columns if isinstance(c.type, UTCDateTime)]
    for name, model in MODELS.items()
}
SHORT = timedelta(minutes=5)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


@pytest.fixture(autouse=True)
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the process be in New York."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        assert time.tzname[0] == "EST"
        yield
    time.tzset()


def defaults_of(model: type[Base]) -> list[datetime]:
    """Return what the columns of a table stamp by themselves, on insertion and on a change."""
    columns = STAMPED[model.__tablename__]
    defaults: list[Any] = [found for c in columns for found in (c.default, c.onupdate) if found]
    return [default.arg(None) for default in defaults]


@pytest.mark.parametrize("name", [name for name, columns in STAMPED.items() if columns])
def test_a_default_is_the_present_instant_in_utc(name: str) -> None:
    """Not the wall clock of the process, taken for UTC."""
    for stamp in defaults_of(MODELS[name]):
        assert stamp.tzinfo is UTC
        assert abs(datetime.now(UTC) - stamp) < SHORT


@pytest.mark.parametrize("name", [name for name, columns in STAMPED.items() if columns])
async def test_what_is_read_is_aware_and_in_utc(
    agentdb_database: Database, agentdb_make: Factory, name: str
) -> None:
    """The instant that was written, whatever its zone was."""
    row = agentdb_make.make(MODELS[name])
    written = {attribute_of(c): getattr(row, attribute_of(c)) for c in STAMPED[name]}
    async with agentdb_database.read(reason="test") as uow:
        found = await getattr(uow, name).require(key_of(row), include_deleted=True)

    for attribute, instant in written.items():
        read = getattr(found, attribute)
        assert read == instant
        assert read is None or read.tzinfo is UTC


async def test_verbs_stamp_the_present_and_refuse_what_has_no_zone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By the clock of the database, or an instant that the caller gives in any zone."""
    user = agentdb_make.tenant_user_membership()
    zone = timezone(timedelta(hours=-5))
    async with agentdb_database.begin(tenant=user.tenant_id) as uow:
        consent, _ = await uow.user_consents.accept(user.user_id, "terms", "1")
        settings = await uow.tenant_settings.put(now=NOON.astimezone(zone))
        event = await uow.security_events.record("probe")
        naive: list[Awaitable[Any]] = [
            uow.user_consents.accept(user.user_id, "terms", "2", now=NAIVE),
            uow.tenant_settings.put(now=NAIVE),
            uow.security_events.record("probe", now=NAIVE),
            uow.usage_counters.increment(None, NOON.date(), now=NAIVE),
        ]
        for call in naive:
            with pytest.raises(NaiveDatetimeError):
                await call

        assert (settings.updated_at, settings.updated_at.tzinfo) == (NOON, UTC)
        for stamp in (consent.accepted_at, event.created_at):
            assert stamp.tzinfo is UTC
            assert abs(utc_now() - stamp) < SHORT


async def test_a_month_ends_in_utc(agentdb_database: Database, agentdb_make: Factory) -> None:
    """The last days of a month go with it, wherever the sun stands."""
    first = utc_now().date().replace(day=1)
    agentdb_make.usage_counter(period_start=first - timedelta(days=1), user_id=None)
    agentdb_make.usage_counter(period_start=first, user_id=None)

    assert (await roll_up_usage(agentdb_database, older_than=timedelta(0))).counts == {
        "rolled_up": 1
    }
