"""Maintenance of status subscriptions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import URL, Select, update
from typing_extensions import Unpack, override

from agentdb.database import Database
from agentdb.maintenance.aged import Aged, Place
from agentdb.maintenance.runner import PlanOptions, Report, run_aged
from agentdb.orm import Base
from agentdb.status.models import StatusSubscription
from agentdb.status.statements import in_status, revocation, subscriptions
from agentdb.status.values import SubscriptionStatus
from agentdb.unit_of_work import UnitOfWork

EXPIRED = "verification_expired"
"""Why a subscription was revoked that nobody verified."""


async def expire_status_subscriptions(
    db: Database | str | URL,
    *,
    older_than: timedelta = timedelta(0),
    **options: Unpack[PlanOptions],
) -> Report:
    """Revoke subscriptions that nobody verified in time; their tokens and secrets are cleared.

    Args:
        db: The database, or its URL.
        older_than: Time since the verification expired, by the clock of the database.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        The count of ``revoked`` subscriptions.
    """
    return await run_aged(db, older_than, options, UnverifiedSubscriptions)


class UnverifiedSubscriptions(Aged):
    """Pending subscriptions, in the order in which their verification expired."""

    name = "expire_status_subscriptions"
    outcomes: ClassVar[tuple[str, ...]] = ("revoked",)
    model: ClassVar[type[Base]] = StatusSubscription
    stamp: ClassVar[str] = "verification_expires_at"

    @override
    def _write(self, uow: UnitOfWork) -> Any:
        return update(subscriptions).values(**revocation(uow.now(), EXPIRED))

    @override
    async def _due(self, uow: UnitOfWork, after: Place | None) -> Select[Any]:
        pending = in_status(SubscriptionStatus.PENDING_VERIFICATION)
        return (await super()._due(uow, after)).where(pending)
