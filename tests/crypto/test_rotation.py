from __future__ import annotations

import logging
from uuid import UUID

import pytest

from agentdb.crypto import ENCRYPTED, Unopened, rotate_keys
from agentdb.crypto.rotation import Rotation
from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.models import StatusSubscription, TenantAccount, User, UserSession
from agentdb.testing import Factory, Queries
from tests.crypto.rings import (
    BOTH,
    KEYS,
    LOST,
    NEW,
    OLD,
    SECRET,
    TABLES,
    enroll,
    fill,
    opened,
    stored,
)
from tests.plans import plans_of, sorts

NOTHING = {"rotated": 0, "current": 0, "foreign": 0, "unopened": 0}


async def test_all_encrypted_columns_come_under_the_primary_key(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Afterwards the retired key can go; a second run changes nothing."""
    count = fill(agentdb_make)
    secrets = await opened(agentdb_database, OLD)

    report = await rotate_keys(agentdb_database, BOTH)

    assert (report.counts, report.done) == ({**NOTHING, "rotated": count}, True)
    assert await opened(agentdb_database, NEW) == secrets
    before = await stored(agentdb_database)
    again = await rotate_keys(agentdb_database, BOTH)
    assert again.counts == {**NOTHING, "current": count}
    assert await stored(agentdb_database) == before


async def test_the_stamp_of_the_last_write_stays(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Nothing that the host stored has changed."""
    (method,) = enroll(agentdb_make)

    await rotate_keys(agentdb_database, BOTH)

    async with agentdb_database.read(reason="test") as uow:
        found = await uow.user_mfa_methods.require(method.id)
    assert found.secret_encrypted != method.secret_encrypted
    assert found.updated_at == method.updated_at


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
@pytest.mark.parametrize("max_batches", [None, 1, 3])
async def test_a_dry_run_counts_what_the_run_then_changes(
    agentdb_database: Database, agentdb_make: Factory, batch: int, max_batches: int | None
) -> None:
    """Whatever the batches, and changes nothing itself."""
    fill(agentdb_make)
    enroll(agentdb_make, LOST)
    before = await stored(agentdb_database)

    counted = await rotate_keys(
        agentdb_database, BOTH, batch=batch, max_batches=max_batches, dry_run=True
    )

    assert await stored(agentdb_database) == before
    assert counted == await rotate_keys(
        agentdb_database, BOTH, batch=batch, max_batches=max_batches
    )
    after = await stored(agentdb_database)
    changed = [place for place, value in before.items() if after[place] != value]
    assert len(changed) == counted.counts["rotated"] > 0


async def test_what_the_host_encrypted_is_left_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Other envelopes are counted; what is empty or NULL is nothing."""
    agentdb_make.user_session(ip_encrypted=b"\x00\x01 of the host")
    agentdb_make.user_session(ip_encrypted=None)
    agentdb_make.status_subscription(target_encrypted=b"")
    before = await stored(agentdb_database)

    report = await rotate_keys(agentdb_database, BOTH)

    assert report.counts == {**NOTHING, "foreign": 1}
    assert report.unopened == ()
    assert await stored(agentdb_database) == before


async def test_what_no_key_opens_is_named_and_left_alone(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By table, column and key of the row; the others are rotated."""
    (kept,) = enroll(agentdb_make)
    (lost,) = enroll(agentdb_make, LOST)
    assert lost.secret_encrypted is not None
    moved = agentdb_make.user_mfa_method(secret_encrypted=kept.secret_encrypted)

    report = await rotate_keys(agentdb_database, BOTH)

    assert report.counts == {**NOTHING, "rotated": 1, "unopened": 2}
    table = ("user_mfa_methods", "secret_encrypted")
    assert set(report.unopened) == {
        Unopened(*table, lost.id, "unknown_key"),
        Unopened(*table, moved.id, "damaged"),
    }
    after = await stored(agentdb_database)
    assert after[(*table, lost.id)] == lost.secret_encrypted
    assert after[(*table, moved.id)] == kept.secret_encrypted


async def test_a_report_names_a_hundred_and_counts_all(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The wrong ring does not fill the memory with the keys of all rows."""
    user = agentdb_make.user()
    value = LOST.encrypt("x", SECRET, owner=user.id)
    agentdb_make.user_mfa_method.many(101, user_id=user.id, secret_encrypted=value)

    report = await rotate_keys(agentdb_database, BOTH, batch=7)

    assert (report.counts["unopened"], len(report.unopened)) == (101, 100)


@pytest.mark.parametrize("table", TABLES)
async def test_one_table_can_be_chosen(
    agentdb_database: Database, agentdb_make: Factory, table: str
) -> None:
    """The others are not touched."""
    fill(agentdb_make)
    before = await stored(agentdb_database)

    report = await rotate_keys(agentdb_database, BOTH, tables=[table])

    after = await stored(agentdb_database)
    assert {place[0] for place, value in before.items() if after[place] != value} == {table}
    columns = [column for column in ENCRYPTED if column.table == table]
    assert report.counts == {**NOTHING, "rotated": 2 * len(columns)}


async def test_a_table_without_such_columns_is_refused(agentdb_database: Database) -> None:
    """The error names those that have them."""
    with pytest.raises(InvalidValueError, match="status_subscriptions, user_mfa_methods"):
        await rotate_keys(agentdb_database, BOTH, tables=["users"])


async def test_a_run_for_a_tenant_leaves_the_others(
    agentdb_database: Database, agentdb_make: Factory, agentdb_tenant: TenantAccount
) -> None:
    """Rows of other tenants, and of people elsewhere."""

    def session_of(tenant: UUID) -> UserSession:
        member = agentdb_make.tenant_user_membership(tenant_id=tenant)
        address = OLD.encrypt("192.0.2.1", UserSession.ip_encrypted, owner=member.user_id)
        return agentdb_make.user_session(
            user_id=member.user_id, tenant_id=tenant, ip_encrypted=address
        )

    mine = session_of(agentdb_tenant.id)
    theirs = session_of(agentdb_make.tenant_account().id)

    report = await rotate_keys(agentdb_database, BOTH, tenant_id=agentdb_tenant.id)

    assert report.counts == {**NOTHING, "rotated": 1}
    after = await stored(agentdb_database)
    assert after["user_sessions", "ip_encrypted", mine.id] != mine.ip_encrypted
    assert after["user_sessions", "ip_encrypted", theirs.id] == theirs.ip_encrypted


async def test_rotation_goes_on_where_batches_ended(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A run with a limit leaves the rest to the next ones."""
    enroll(agentdb_make, count=5)

    first = await rotate_keys(agentdb_database, BOTH, batch=2, max_batches=2)
    second = await rotate_keys(agentdb_database, BOTH, batch=2)

    assert (first.counts, first.done) == ({**NOTHING, "rotated": 4}, False)
    assert (second.counts, second.done) == ({**NOTHING, "rotated": 1, "current": 4}, True)


async def test_a_batch_is_three_statements(
    agentdb_database: Database, agentdb_make: Factory, agentdb_queries: Queries
) -> None:
    """One reads a window, one writes, one reads back; however many values there are."""
    enroll(agentdb_make, count=20)

    with agentdb_queries(max=3) as sent:
        await rotate_keys(agentdb_database, BOTH, tables=["user_mfa_methods"])
        assert [line.split()[0] for line in sent] == ["SELECT", "UPDATE", "SELECT"]


@pytest.mark.agentdb_plans
async def test_a_run_walks_along_the_primary_key(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """A window costs the same at the end of a large table as at its beginning."""
    enroll(agentdb_make, count=3)
    columns = [column for column in ENCRYPTED if column.table == "user_mfa_methods"]
    sweep = Rotation(BOTH, columns, None, {})

    async with agentdb_database.begin_system(reason="test") as uow:
        plans = await plans_of(uow, sweep.change(uow, UUID(int=0), 2))

    # The window, and what was read back.
    assert len(plans) == 2
    for plan in plans:
        plan.assert_scans_nothing()
        assert not sorts(plan)


async def test_a_value_that_was_moved_in_the_database_is_not_opened(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Into another column of the same row, too."""
    agentdb_make.status_subscription(
        tenant_id=None,
        target_encrypted=OLD.encrypt("x", StatusSubscription.target_encrypted, owner=None),
        webhook_secret_encrypted=OLD.encrypt("x", StatusSubscription.target_encrypted, owner=None),
    )

    report = await rotate_keys(agentdb_database, BOTH)

    assert report.counts == {**NOTHING, "rotated": 1, "unopened": 1}
    assert [place.column for place in report.unopened] == ["webhook_secret_encrypted"]


async def test_neither_secrets_nor_keys_are_logged(
    agentdb_database: Database, agentdb_make: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    """At the lowest level, of all loggers; nor does a report show them."""
    enroll(agentdb_make)
    enroll(agentdb_make, LOST)

    with caplog.at_level(logging.DEBUG):
        report = await rotate_keys(agentdb_database, BOTH)

    shown = f"{caplog.text} {report!r}"
    assert "secret-0" not in shown
    assert not any(repr(key)[2:-1] in shown for key in KEYS.values())


@pytest.mark.agentdb_only("postgres")
async def test_keys_are_rotated_in_a_schema_of_its_own(agentdb_empty_url: str) -> None:
    """A value does not depend on the name of the schema."""
    async with Database(agentdb_empty_url, schema="app") as database:
        await database.upgrade()
        async with database.begin_system(reason="test") as uow:
            user = await uow.users.add(User(email="ada@example.com", password_hash="x"))
            sealed = OLD.encrypt("x", SECRET, owner=user.id)
            method = await uow.user_mfa_methods.enroll_totp(user.id, sealed)

        report = await rotate_keys(database, BOTH)

        assert report.counts == {**NOTHING, "rotated": 1}
        async with database.read(reason="test") as uow:
            found = await uow.user_mfa_methods.require(method.id)
        assert NEW.decrypt(found.secret_encrypted or b"", SECRET, owner=user.id) == b"x"
