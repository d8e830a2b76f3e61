"""What the verbs keep true of single tables holds for the rows of the factories."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from agentdb.auth.models import TenantUserMembership
from agentdb.auth.values import MfaMethodType, TenantRole, UserStatus
from agentdb.billing.values import TenantSubscriptionStatus
from agentdb.database import Database
from agentdb.errors import (
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    TenantMismatchError,
    ValueTooLongError,
)
from agentdb.models import (
    StripeEvent,
    TenantAccount,
    TenantSignupInvite,
    VectorStore,
    WorkflowRunStep,
)
from agentdb.signup.values import SignupInviteReservationStatus, TenantSignupInviteStatus
from agentdb.testing import Factory
from agentdb.testing.factories.ownership import owner_of
from agentdb.testing.factories.references import table_of


def test_a_person_is_a_member_of_the_tenant(
    agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """Else no unit of the tenant would see them; without a tenant they are nobody's."""
    user, stranger = agentdb_make.user(), agentdb_make.user(tenant=None)
    query = select(TenantUserMembership.user_id, TenantUserMembership.role)
    found = agentdb_sync_connection.execute(query).all()

    assert [(user.id, TenantRole.MEMBER)] == [tuple(row) for row in found]
    assert user.status is UserStatus.ACTIVE
    assert stranger.id != user.id


def test_an_address_is_canonical(agentdb_make: Factory) -> None:
    """As the verbs store it, so that they find it."""
    assert agentdb_make.user(email="  Ada@Example.COM ").email == "ada@example.com"
    with pytest.raises(InvalidValueError, match="one @"):
        agentdb_make.user(email="nobody")


def test_rows_of_several_tenants_are_not_mixed(agentdb_make: Factory) -> None:
    """Not by a row, not by its key, and not by a person who is no member."""
    other = agentdb_make.tenant_account()
    theirs = agentdb_make.agent_conversation(tenant=other)
    ours = agentdb_make.agent_conversation()

    with pytest.raises(TenantMismatchError):
        agentdb_make.storage_object(tenant=agentdb_make.tenant, conversation=theirs)
    with pytest.raises(TenantMismatchError):
        agentdb_make.agent_run_usage(tenant=agentdb_make.tenant, conversation_id=theirs.id)
    with pytest.raises(TenantMismatchError):
        agentdb_make.user_session(tenant=other, user=agentdb_make.user())
    with pytest.raises(TenantMismatchError):
        agentdb_make.activity_event_receipt(
            event=agentdb_make.activity_event(), user=agentdb_make.user(tenant=other)
        )
    with pytest.raises(InvalidValueError, match="conversation_id"):
        agentdb_make.agent_message(
            conversation=ours,
            segment=agentdb_make.conversation_ledger_segment(),
        )


def test_a_reference_is_a_row_of_its_table(agentdb_make: Factory) -> None:
    """A row of another one is a mistake that shows at once."""
    with pytest.raises(TypeError, match="conversation_id refers to AgentConversation, not to User"):
        agentdb_make.agent_message(conversation=agentdb_make.user())
    for no_tenant in ("acme", agentdb_make.user()):
        with pytest.raises(TypeError):
            agentdb_make.agent_message(tenant=no_tenant)
    with pytest.raises(NotFoundError):
        agentdb_make.agent_container(container_id=uuid4())


def test_the_tenant_follows_from_the_parents(agentdb_make: Factory) -> None:
    """What belongs to a row of another tenant is that tenant's, with all that is made for it."""
    other = agentdb_make.tenant_account()
    event = agentdb_make.activity_event(tenant=other)
    session = agentdb_make.user_session(tenant_id=other.id)

    receipt = agentdb_make.activity_event_receipt(event_id=event.id)
    token = agentdb_make.service_account_token(session=session)
    run = agentdb_make.workflow_run(conversation=agentdb_make.conversation(tenant=other))

    assert {receipt.tenant_id, token.tenant_id} == {other.id}
    assert run.tenant_id == str(other.id)


def test_every_row_has_the_owner_of_its_class(
    agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """By its own column, by its parent, or none where it may have several."""
    ours = agentdb_make.tenant.id
    rows = [agentdb_make.workflow_run(), agentdb_make.workflow_run_step(), agentdb_make.user()]
    with Session(agentdb_sync_connection) as session:
        assert [owner_of(session, row) for row in rows] == [ours, ours, None]


def test_one_row_that_a_tenant_has_once_is_made_for_new_tenants(agentdb_make: Factory) -> None:
    """Settings are one row; of the subscriptions one is current, and the others are history."""
    ours = agentdb_make.tenant.id
    settings = agentdb_make.tenant_settings.many(2)
    subscriptions = agentdb_make.tenant_subscription.many(2)
    history = agentdb_make.tenant_subscription(tenant=ours)

    assert [row.tenant_id == ours for row in settings] == [True, False]
    assert [row.tenant_id == ours for row in subscriptions] == [True, False]
    assert history.status == TenantSubscriptionStatus.CANCELED
    with pytest.raises(DuplicateError):
        agentdb_make.tenant_settings(tenant=ours)


def test_a_reservation_is_finalized_by_naming_a_tenant(agentdb_make: Factory) -> None:
    """It then names a person too, and the invite counts it."""
    invite = agentdb_make.tenant_signup_invite(max_redemptions=2)
    active = agentdb_make.tenant_signup_invite_reservation(invite=invite)
    assert (active.status, active.tenant_id) == (SignupInviteReservationStatus.ACTIVE, None)
    assert invite.redeemed_count == 0

    done = agentdb_make.tenant_signup_invite_reservation(invite=invite, tenant=agentdb_make.tenant)
    assert (invite.redeemed_count, invite.status) == (1, TenantSignupInviteStatus.ACTIVE)
    agentdb_make.tenant_signup_invite_reservation(invite=invite, status="finalized")

    assert done.status == SignupInviteReservationStatus.FINALIZED
    assert None not in (done.finalized_at, done.tenant_id, done.user_id)
    assert (invite.redeemed_count, invite.status) == (2, TenantSignupInviteStatus.EXHAUSTED)
    assert invite.last_redeemed_at is not None


def test_an_invite_is_exhausted_when_all_is_redeemed(agentdb_make: Factory) -> None:
    """Whichever of the two is said."""
    make = agentdb_make.tenant_signup_invite

    assert make(status="exhausted", max_redemptions=3).redeemed_count == 3
    assert make(redeemed_count=1).status == TenantSignupInviteStatus.EXHAUSTED
    assert make(status="revoked").revoked_at is not None


def test_a_status_brings_its_stamp(agentdb_make: Factory) -> None:
    """And the beginning of what goes on has none of its end."""
    assert agentdb_make.workflow_run().ended_at is None
    assert agentdb_make.workflow_run(status="succeeded").ended_at is not None
    assert agentdb_make.stripe_event(processing_outcome="processed").processed_at is not None
    assert agentdb_make.storage_object(status="deleted").deleted_at is not None
    assert agentdb_make.tenant_signup_request(status="approved").decided_at is not None


def test_a_tenant_has_one_default_bucket(agentdb_make: Factory) -> None:
    """The first one."""
    buckets = agentdb_make.storage_bucket.many(3)

    assert [bucket.is_default for bucket in buckets] == [True, False, False]


def test_a_store_is_as_large_as_its_files(agentdb_make: Factory) -> None:
    """Live ones; the row that was handed in shows it."""
    store: VectorStore = agentdb_make.vector_store()
    agentdb_make.vector_store_file(vector_store=store, size_bytes=10)
    agentdb_make.vector_store_file(vector_store=store, size_bytes=10, usage_bytes=7)
    agentdb_make.vector_store_file(vector_store=store, size_bytes=10, status="deleted")

    assert store.usage_bytes == 17


def test_counters_are_of_periods_of_their_own(agentdb_make: Factory) -> None:
    """Monthly ones start on the first day."""
    days = [row.period_start for row in agentdb_make.usage_counter.many(40)]
    months = [row.period_start for row in agentdb_make.usage_counter.many(30, granularity="month")]

    assert len({*days}) == 40
    assert len({*months}) == 30
    assert {day.day for day in months} == {1}
    assert date(2025, 3, 1) < min(days)


def test_scopes_make_the_key_of_a_token(agentdb_make: Factory) -> None:
    """Sorted, each once."""
    token = agentdb_make.service_account_token(scopes=["write", "read", "read"])

    assert token.scope_key == "read write"


def test_a_second_factor_has_the_secret_of_its_kind(agentdb_make: Factory) -> None:
    """A key that is shared, or a credential."""
    shared = agentdb_make.user_mfa_method()
    key = agentdb_make.user_mfa_method(method_type=MfaMethodType.WEBAUTHN)

    assert (shared.secret_encrypted is None, shared.credential_json) == (False, None)
    assert (key.secret_encrypted, key.credential_json is None) == (None, False)


def test_steps_are_numbered_within_their_run(
    agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """From 0; and run events can refer to every run."""
    run = agentdb_make.workflow_run()
    agentdb_make.workflow_run_step.many(3, workflow_run=run)
    agentdb_make.workflow_run_step()
    mine = WorkflowRunStep.workflow_run_id == run.id
    numbers = agentdb_sync_connection.scalars(select(WorkflowRunStep.sequence_no).where(mine))

    assert sorted(numbers) == [0, 1, 2]
    with pytest.raises(ValueTooLongError):
        agentdb_make.workflow_run(id="r" * 65)


async def test_a_row_may_belong_to_nobody(
    agentdb_make: Factory, agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Where the table allows it, and a required tenant is asked for by the database."""
    event = agentdb_make.security_event(tenant=None)
    async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
        assert await unit.security_events.get(event.id) is None
    with pytest.raises(InvalidValueError):
        agentdb_make.agent_conversation(tenant=None, conversation_key="nobody's")


def test_the_tables_of_the_operator_need_no_tenant(agentdb_sync_connection: Connection) -> None:
    """None is made for them."""
    factory = Factory(agentdb_sync_connection)
    factory.stripe_event_dispatch()
    factory.plan_feature()
    count = select(func.count())

    assert agentdb_sync_connection.scalar(count.select_from(table_of(TenantAccount))) == 0
    assert agentdb_sync_connection.scalar(count.select_from(table_of(StripeEvent))) == 1
    with pytest.raises(TypeError, match="no tenant"):
        factory.billing_plan(tenant=None)
    assert agentdb_sync_connection.scalar(count.select_from(table_of(TenantSignupInvite))) == 0
