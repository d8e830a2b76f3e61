"""Rows of tenants that are gone, in the tables whose tenant is no foreign key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from typing_extensions import override

from agentdb.auth.models import ServiceAccountToken
from agentdb.conversations.models import AgentRunUsage, ConversationSummary
from agentdb.maintenance.walked import Walked
from agentdb.orm import Base
from agentdb.repository.skipping import among
from agentdb.status.models import StatusSubscription
from agentdb.tenancy.predicates import table_of
from agentdb.tenants.models import TenantAccount
from agentdb.types import Uuid
from agentdb.unit_of_work import UnitOfWork
from agentdb.workflows.models import WorkflowRun, WorkflowRunStep
from agentdb.workflows.states import steps

_TENANTS: Any = table_of(TenantAccount)
_RUNS: Any = table_of(WorkflowRun)
_HEX = "[0-9a-f]"


class Vanished(Walked):
    """Rows that name a tenant which is not there; deleted, as erasing it would have done."""

    name = "reconcile"

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return _is_gone(table_of(self.model).c["tenant_id"])

    @override
    async def _repair(self, uow: UnitOfWork, keys: Sequence[Any]) -> int:
        table: Any = table_of(self.model)
        free = select(table.c.id).where(table.c.id.in_(keys), await self._wrong(uow))
        free = free.with_for_update(of=table, skip_locked=True)
        gone = delete(table).where(among(table.c.id, free, postgresql=uow.is_postgresql))
        return len((await uow.execute(gone.returning(table.c.id))).all())


class VanishedTokens(Vanished):
    """Refresh tokens; those without a tenant stay."""

    outcomes: ClassVar[tuple[str, ...]] = (ServiceAccountToken.__tablename__,)
    model: ClassVar[type[Base]] = ServiceAccountToken


class VanishedSubscriptions(Vanished):
    """Status subscriptions; those without a tenant stay."""

    outcomes: ClassVar[tuple[str, ...]] = (StatusSubscription.__tablename__,)
    model: ClassVar[type[Base]] = StatusSubscription


class VanishedSummaries(Vanished):
    """Summaries whose conversation is another tenant's by now; else it took them along."""

    outcomes: ClassVar[tuple[str, ...]] = (ConversationSummary.__tablename__,)
    model: ClassVar[type[Base]] = ConversationSummary


class VanishedUsage(Vanished):
    """Usage whose conversation is another tenant's by now; else it took it along."""

    outcomes: ClassVar[tuple[str, ...]] = (AgentRunUsage.__tablename__,)
    model: ClassVar[type[Base]] = AgentRunUsage


class VanishedSteps(Vanished):
    """Steps of runs that are not there, or that are about to go."""

    outcomes: ClassVar[tuple[str, ...]] = (WorkflowRunStep.__tablename__,)
    model: ClassVar[type[Base]] = WorkflowRunStep

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        run = select(_RUNS.c.id).where(_RUNS.c.id == steps.c.workflow_run_id).correlate(steps)
        gone = _run_is_gone(postgresql=uow.is_postgresql)
        return or_(~exists(run), exists(run.where(gone)))


class VanishedRuns(Vanished):
    """Workflow runs."""

    outcomes: ClassVar[tuple[str, ...]] = (WorkflowRun.__tablename__,)
    model: ClassVar[type[Base]] = WorkflowRun

    @override
    async def _wrong(self, uow: UnitOfWork) -> ColumnElement[bool]:
        return _run_is_gone(postgresql=uow.is_postgresql)


VANISHED: tuple[type[Vanished], ...] = (
    VanishedTokens,
    VanishedSubscriptions,
    VanishedSummaries,
    VanishedUsage,
    VanishedSteps,
    VanishedRuns,
)
"""Steps go before their runs, which tell that they go."""


def _is_gone(tenant: ColumnElement[Any]) -> ColumnElement[bool]:
    present = select(_TENANTS.c.id).where(_TENANTS.c.id == tenant).correlate_except(_TENANTS)
    return and_(tenant.is_not(None), ~exists(present))


def _run_is_gone(*, postgresql: bool) -> ColumnElement[bool]:
    return _is_gone(_as_key(_RUNS.c.tenant_id, postgresql=postgresql))


def _as_key(text: ColumnElement[Any], *, postgresql: bool) -> ColumnElement[Any]:
    """Return a UUID that is stored as text as the key of a tenant; NULL for other text."""
    if postgresql:
        form: ColumnElement[str] = literal_column(
            f"'^{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$'"
        )
        return case((text.op("~*", is_comparison=True)(form), cast(text, Uuid())))
    digits = func.replace(func.lower(text), "-", "", type_=Text())
    plain = digits.op("GLOB", is_comparison=True)(literal(_HEX * 32, Text()))
    return type_coerce(case((plain, digits)), Uuid())
