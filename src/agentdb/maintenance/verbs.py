"""All maintenance verbs by name, and what they take: for who runs them by name."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from agentdb import maintenance
from agentdb.maintenance.runner import Report

WITHOUT_TENANT = frozenset(
    {
        "expire_invites",
        "expire_reservations",
        "purge_signup_requests",
        "purge_stripe_events",
        "recover_dispatches",
    }
)
"""Those of tables that belong to no tenant; they refuse one."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A maintenance verb.

    Attributes:
        name: Its name in `agentdb.maintenance`.
        run: The verb.
        summary: The first line of its documentation.
        older_than: The age that it takes if none is given; None if it knows none.
        repairs: Whether it only reports unless told to repair.
        takes_tenant: Whether it can be run for one tenant.
    """

    name: str
    run: Callable[..., Awaitable[Report]]
    summary: str
    older_than: timedelta | None
    repairs: bool
    takes_tenant: bool


def _verb(name: str, run: Callable[..., Awaitable[Report]]) -> Verb:
    parameters = inspect.signature(run).parameters
    age = parameters["older_than"].default if "older_than" in parameters else None
    summary = inspect.cleandoc(run.__doc__ or "").partition("\n\n")[0]
    return Verb(
        name=name,
        run=run,
        summary=" ".join(summary.split()),
        older_than=age,
        repairs="repair" in parameters,
        takes_tenant=name not in WITHOUT_TENANT,
    )


VERBS: Mapping[str, Verb] = {
    name: _verb(name, getattr(maintenance, name))
    for name in maintenance.__all__
    if inspect.iscoroutinefunction(getattr(maintenance, name))
}
"""The verbs by name; those that end something come before those that purge it."""
