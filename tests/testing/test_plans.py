from __future__ import annotations

import pytest
from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from agentdb.database import Database
from agentdb.errors import AgentDBError
from agentdb.models import AgentConversation, BillingPlan, ConversationLedgerSegment, TenantAccount
from agentdb.testing import (
    assert_plan_scans_nothing,
    assert_plan_uses_index,
    explain,
    explain_sync,
)
from agentdb.unit_of_work import UnitOfWork

pytestmark = pytest.mark.agentdb_plans

BY_CODE = select(BillingPlan).where(BillingPlan.code == "basic")
BY_NAME = select(BillingPlan).where(BillingPlan.name == "Basic")


async def test_an_index_is_named_as_in_the_schema(agentdb_uow: UnitOfWork) -> None:
    """The constraint's name stands for the index that either database makes for it."""
    await assert_plan_uses_index(agentdb_uow, BY_CODE, "uq_billing_plans_code")
    await assert_plan_scans_nothing(agentdb_uow, BY_CODE)
    by_key = select(BillingPlan.name).where(
        BillingPlan.id.in_([BillingPlan(code="", name="", price_cents=1).id])
    )
    await assert_plan_uses_index(agentdb_uow, by_key, "pk_billing_plans")


async def test_a_missing_index_is_told_with_the_plan(agentdb_uow: UnitOfWork) -> None:
    """Both assertions fail over a statement that no index serves, and show why."""
    with pytest.raises(AssertionError, match=r"does not use ix_nothing:\n.*billing_plans"):
        await assert_plan_uses_index(agentdb_uow, BY_NAME, "ix_nothing")
    with pytest.raises(AssertionError, match=r"the plan scans billing_plans:\n.*billing_plans"):
        await assert_plan_scans_nothing(agentdb_uow, BY_NAME)


async def test_the_plan_is_that_of_the_filtered_statement(agentdb_uow: UnitOfWork) -> None:
    """A tenant's unit explains what it would send: its condition leads to the index."""
    await assert_plan_uses_index(
        agentdb_uow, select(ConversationLedgerSegment), "ix_conversation_ledger_segments_tenant_id"
    )


async def test_explaining_runs_nothing(
    agentdb_session: AsyncSession, agentdb_tenant: TenantAccount
) -> None:
    """An UPDATE and a DELETE are explained and not done; settings are as before."""
    where = TenantAccount.id == agentdb_tenant.id
    for statement in (update(TenantAccount).values(name="changed"), delete(TenantAccount)):
        plan = await explain(agentdb_session, statement.where(where))
        assert {"pk_tenant_accounts"} <= plan.indexes

    kept = await agentdb_session.get_one(TenantAccount, agentdb_tenant.id)
    assert kept.name == agentdb_tenant.name


@pytest.mark.agentdb_only("postgres")
async def test_the_setting_ends_with_the_plan(agentdb_session: AsyncSession) -> None:
    """Later statements of the transaction may scan again."""
    await explain(agentdb_session, BY_CODE)

    assert (await agentdb_session.execute(text("SHOW enable_seqscan"))).scalar_one() == "on"


async def test_a_wrong_statement_leaves_the_transaction_usable(
    agentdb_session: AsyncSession,
) -> None:
    """It raises as it would without EXPLAIN."""
    with pytest.raises(AgentDBError):
        await explain(agentdb_session, text("SELECT nothing FROM billing_plans"))

    assert (await explain(agentdb_session, BY_CODE)).scans == frozenset()


async def test_pending_rows_are_flushed_and_not_explained(agentdb_uow: UnitOfWork) -> None:
    """The statement that is explained is the one that was given."""
    agentdb_uow.session.add(
        AgentConversation(
            conversation_key="k", tenant_id=agentdb_uow.scope.owner(None), agent_entrypoint="triage"
        )
    )
    plan = await explain(agentdb_uow, BY_CODE)

    assert plan.indexes == {"uq_billing_plans_code"}
    assert await agentdb_uow.agent_conversations.count() == 1


async def test_subqueries_are_no_tables(agentdb_session: AsyncSession) -> None:
    """A scan of what a subquery has made is not one of a table."""
    inner = BY_CODE.limit(3).subquery()
    plan = await explain(agentdb_session, select(inner.c.code).distinct())

    assert plan.scans == frozenset()


async def test_a_synchronous_connection_explains_too(
    agentdb_sync_connection: Connection, agentdb_database: Database
) -> None:
    """As does a connection of the engine."""
    assert explain_sync(agentdb_sync_connection, BY_NAME).scans == {"billing_plans"}
    async with agentdb_database.engine.connect() as connection:
        assert (await explain(connection, BY_NAME)).scans == {"billing_plans"}
