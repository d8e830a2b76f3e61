from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from agentdb import Database, UnitOfWork
from agentdb.errors import (
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    TenantMismatchError,
)
from agentdb.models import StatusSubscription
from agentdb.testing import Factory
from tests.conversations.talks import walked
from tests.status.targets import HOUR, NOON, SECRETS, active, subscribed, wish


async def test_a_subscription_waits_for_its_verification(agentdb_uow: UnitOfWork) -> None:
    """It is the unit's tenant's, wants major notices unless told otherwise, and shows no secret."""
    fields = {"metadata_json": {"page": "eu"}, "webhook_secret_encrypted": b"secret"}
    row, created = await agentdb_uow.status_subscriptions.subscribe(**wish(**fields))

    assert created
    assert (row.status, row.severity_filter) == ("pending_verification", "major")
    assert (row.tenant_id, row.created_by) == (agentdb_uow.tenant, "anonymous")
    assert (row.created_at, row.updated_at) == (NOON, NOON)
    assert (row.metadata_json, row.webhook_secret_encrypted) == ({"page": "eu"}, b"secret")
    assert "sealed" not in repr(row)
    assert "first" not in repr(row)


async def test_a_pending_subscription_takes_new_tokens(agentdb_uow: UnitOfWork) -> None:
    """Expired or not; the earlier ones lead nowhere, what is not given stays."""
    first = await subscribed(
        agentdb_uow, challenge_token_hash="challenge", webhook_secret_encrypted=b"secret"
    )
    late = NOON + 2 * HOUR
    again, created = await agentdb_uow.status_subscriptions.subscribe(
        **wish(
            verification_token_hash="second",
            verification_expires_at=late + HOUR,
            target_encrypted=b"resealed",
            created_by="another",
            now=late,
        )
    )

    assert again is first
    assert not created
    assert (again.verification_token_hash, again.challenge_token_hash) == ("second", None)
    assert (again.target_encrypted, again.webhook_secret_encrypted) == (b"resealed", b"secret")
    assert (again.created_by, again.created_at, again.updated_at) == ("anonymous", NOON, late)
    assert await agentdb_uow.status_subscriptions.by_verification_token_hash("first") is None
    assert (await agentdb_uow.status_subscriptions.activate(first.id, now=late)).status == "active"


async def test_an_active_subscription_is_returned_as_it_is(agentdb_uow: UnitOfWork) -> None:
    """A stranger who subscribes an address again changes nothing."""
    row = await active(agentdb_uow)
    again, created = await agentdb_uow.status_subscriptions.subscribe(
        **wish(verification_token_hash="second", target_encrypted=b"other", now=NOON + HOUR)
    )

    assert again is row
    assert not created
    assert (again.status, again.verification_token_hash) == ("active", None)
    assert (again.target_encrypted, again.updated_at) == (b"sealed", NOON)


async def test_a_revoked_target_can_subscribe_anew(agentdb_uow: UnitOfWork) -> None:
    """In a row of its own."""
    row = await active(agentdb_uow)
    await agentdb_uow.status_subscriptions.revoke(row.id, "unsubscribed")
    again, created = await agentdb_uow.status_subscriptions.subscribe(**wish())

    assert created
    assert (again.id != row.id, again.status) == (True, "pending_verification")


async def test_each_wish_is_one_of_its_own(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """By channel, target, severity and tenant, the service's own without one included."""
    tenant, other = agentdb_make.tenant.id, agentdb_make.tenant_account().id
    differing: list[dict[str, Any]] = [
        {},
        {"channel": "webhook"},
        {"target_hash": "other"},
        {"severity_filter": "all"},
        {"tenant_id": tenant},
        {"tenant_id": other},
    ]
    async with agentdb_database.begin_system(reason="test") as uow:
        subscribe = uow.status_subscriptions.subscribe
        made = [await subscribe(**wish(**values)) for values in differing]
        again = [await subscribe(**wish(**values)) for values in differing]

    assert [created for _, created in made] == [True] * 6
    assert [(row.id, False) for row, _ in made] == [(row.id, created) for row, created in again]
    assert len({row.id for row, _ in made}) == 6


@pytest.mark.parametrize(
    "values", [{"channel": "pigeon"}, {"severity_filter": "x"}, {"target_masked": "x" * 513}]
)
async def test_a_refused_wish_is_not_stored(
    agentdb_uow: UnitOfWork, values: dict[str, Any]
) -> None:
    """The unit goes on."""
    with pytest.raises(InvalidValueError):
        await agentdb_uow.status_subscriptions.subscribe(**wish(**values))
    with pytest.raises(TenantMismatchError):
        await agentdb_uow.status_subscriptions.subscribe(**wish(tenant_id=uuid4()))

    assert await agentdb_uow.status_subscriptions.count() == 0


async def test_a_verification_in_time_activates(agentdb_uow: UnitOfWork) -> None:
    """And its tokens are cleared; a second time changes nothing."""
    row = await subscribed(agentdb_uow, challenge_token_hash="challenge")
    late = row.verification_expires_at
    assert late is not None
    with pytest.raises(InvalidTransitionError):
        await agentdb_uow.status_subscriptions.activate(row.id, now=late)
    assert row.status == "pending_verification"
    in_time = late - NOON.resolution
    await agentdb_uow.status_subscriptions.activate(row.id, now=in_time)
    again = await agentdb_uow.status_subscriptions.activate(row.id, now=late + HOUR)

    assert again is row
    assert (row.status, row.updated_at) == ("active", in_time)
    assert (row.verification_token_hash, row.verification_expires_at) == (None, None)
    assert row.challenge_token_hash is None


async def test_a_pending_verification_can_be_renewed(agentdb_uow: UnitOfWork) -> None:
    """After it expired, too; nothing else can."""
    row = await subscribed(agentdb_uow)
    late = NOON + 2 * HOUR
    renew = agentdb_uow.status_subscriptions.renew_verification
    await renew(row.id, "second", late + HOUR, now=late)
    assert (row.verification_token_hash, row.updated_at) == ("second", late)
    await agentdb_uow.status_subscriptions.activate(row.id, now=late)

    with pytest.raises(InvalidTransitionError):
        await renew(row.id, "third", late + HOUR)
    assert row.verification_token_hash is None


async def test_a_revocation_leaves_no_secret(agentdb_uow: UnitOfWork) -> None:
    """The first time and reason stay; the end is for good."""
    secrets = {name: name for name in SECRETS if name.endswith("hash")}
    row = await subscribed(agentdb_uow, **secrets, webhook_secret_encrypted=b"s")
    subscriptions = agentdb_uow.status_subscriptions
    await subscriptions.set_unsubscribe_token(row.id, "digest", b"token")
    assert await subscriptions.by_unsubscribe_token_hash("digest") is row

    assert await subscriptions.revoke(row.id, "unsubscribed", now=NOON)
    assert not await subscriptions.revoke(row.id, "again", now=NOON + HOUR)
    assert [getattr(row, name) for name in SECRETS] == [None] * 5
    assert (row.target_encrypted, row.target_hash) == (b"", "hash")
    assert (row.status, row.revoked_reason, row.revoked_at) == ("revoked", "unsubscribed", NOON)
    for change in (
        subscriptions.activate(row.id),
        subscriptions.renew_verification(row.id, "new", NOON + HOUR),
        subscriptions.set_unsubscribe_token(row.id, "new", b"new"),
    ):
        with pytest.raises(InvalidTransitionError):
            await change
    assert [getattr(row, name) for name in SECRETS] == [None] * 5


async def test_a_subscription_of_another_tenant_does_not_exist(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Nor does one of the service, in a tenant's unit; a system unit may name the tenant."""
    tenant, other = agentdb_make.tenant.id, agentdb_make.tenant_account().id
    async with agentdb_database.begin_system(reason="test") as uow:
        keys = [(await subscribed(uow, tenant_id=owner)).id for owner in (None, other)]
    async with agentdb_database.begin(tenant=tenant) as uow:
        verbs = uow.status_subscriptions
        for key in (*keys, uuid4()):
            for call in (
                verbs.activate(key, now=NOON),
                verbs.renew_verification(key, "new", NOON),
                verbs.set_unsubscribe_token(key, "new", b"new"),
            ):
                with pytest.raises(NotFoundError):
                    await call
            assert not await verbs.revoke(key, "x")
    async with agentdb_database.begin_system(reason="test") as uow:
        assert not await uow.status_subscriptions.revoke(keys[1], "x", tenant_id=tenant)
        assert await uow.status_subscriptions.revoke(keys[1], "x", tenant_id=other)


async def test_recipients_want_the_severity_and_are_active(agentdb_uow: UnitOfWork) -> None:
    """By id, each once, with all that a delivery needs."""
    rows: dict[str, list[StatusSubscription]] = {}
    for severity in ("all", "major", "maintenance"):
        rows[severity] = [
            await active(agentdb_uow, target_hash=f"{n}", severity_filter=severity)
            for n in range(3)
        ]
    await subscribed(agentdb_uow, target_hash="pending")
    await agentdb_uow.status_subscriptions.revoke(rows["major"][0].id, "x")
    recipients = agentdb_uow.status_subscriptions.recipients
    pages = await walked(lambda after: recipients("major", after=after, limit=2))

    wanted = [*rows["all"], *rows["major"][1:]]
    assert [row for page in pages for row in page] == sorted(wanted, key=lambda row: row.id)
    assert {row.target_encrypted for page in pages for row in page} == {b"sealed"}


async def test_a_search_is_by_state_and_channel(agentdb_uow: UnitOfWork) -> None:
    """Newest first; equal stamps by id, each once."""
    pending = [await subscribed(agentdb_uow, target_hash=f"{n}") for n in range(5)]
    hook = await active(agentdb_uow, channel="webhook", now=NOON - HOUR)
    search = agentdb_uow.status_subscriptions.search
    pages = await walked(lambda after: search(status="pending_verification", after=after, limit=2))

    expected = sorted(pending, key=lambda row: row.id, reverse=True)
    assert [row for page in pages for row in page] == expected
    assert list(await search(channel="webhook")) == [hook]
    assert list(await search()) == [*expected, hook]
    assert list(await search(status="active", channel="email")) == []
