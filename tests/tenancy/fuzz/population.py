"""Three tenants with rows in every table, and who may see each row: known by how it was made.

Nothing here asks the code under test, nor the declarations of the models: a table that was declared
wrongly is found as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agentdb.orm import Base
from agentdb.testing.factories.columns import is_drawn
from tests.rows import MODELS, Rows, attribute_of, parent_of, row_of, rows_of, table_of

TENANTS = ("alpha", "beta", "gamma")
SHARED = ("billing_plans", "plan_features")
"""Tables whose rows every tenant reads."""
OPERATOR = (
    "stripe_event_dispatch",
    "stripe_events",
    "tenant_signup_invites",
    "tenant_signup_requests",
)
"""Tables whose rows no tenant reads."""
MEMBERSHIPS = "tenant_user_memberships"
KEPT = ("tenant_accounts", "users")
"""Tables whose rows tenants change, but neither make nor delete."""
OF_PERSON = (
    "users",
    "user_profiles",
    "password_history",
    "user_mfa_methods",
    "user_recovery_codes",
    "user_consents",
)
"""Tables of a person, who may be a member of several tenants."""
OF_NOBODY = (
    "security_events",
    "service_account_tokens",
    "status_subscriptions",
    "tenant_signup_invite_reservations",
    "user_login_events",
    "user_notification_preferences",
)
"""Tables that have rows without a tenant."""
OF_MEMBERSHIP = (MEMBERSHIPS, "user_notification_preferences", "user_sessions")
"""What a tenant stores about a guest: a person of another tenant who is a member too."""
ONCE = ("tenant_accounts", "tenant_settings")
"""Tables with one row for each tenant."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the population.

    Attributes:
        row: The row, in no session.
        seen_by: The tenants that may see it.
    """

    row: Base
    seen_by: frozenset[str]

    @property
    def table(self) -> str:
        """Its table."""
        return str(self.row.__tablename__)


class Population:
    """All rows, parents first.

    Attributes:
        entries: The rows, and who sees each.
        sets: By label, a row of each table that belong together; a tenant has two, ``alpha`` and
            ``alpha2``.
        tenants: The ids of the tenants, by label.
    """

    def __init__(self) -> None:
        self.sets: dict[str, Rows] = {}
        self.entries = list(self._entries())
        self.tenants: dict[str, UUID] = {t: self.sets[t]["tenant_accounts"].id for t in TENANTS}
        for number, entry in enumerate(self.entries, 1):
            _number(entry.row, number)

    def foreign(self, tenant: str, table: str) -> list[Any]:
        """Return the rows of a table that a tenant must not see."""
        return [e.row for e in self.entries if e.table == table and tenant not in e.seen_by]

    def own(self, tenant: str, table: str) -> list[Any]:
        """Return the rows of a table that a tenant sees."""
        return [e.row for e in self.entries if e.table == table and tenant in e.seen_by]

    def _entries(self) -> Iterator[Entry]:
        guest_of: dict[str, str] = dict(zip(TENANTS[1:], TENANTS, strict=False))
        for tenant in TENANTS:
            self.sets[tenant] = rows_of(tenant)
            given = {name: self.sets[tenant][name] for name in (*ONCE, *SHARED)}
            self.sets[f"{tenant}2"] = rows_of(f"{tenant}2", given)
            for label in (tenant, f"{tenant}2"):
                for name, row in self.sets[label].items():
                    if label == tenant or name not in given:
                        yield Entry(row, _seers(name, tenant, guest_of.get(label)))
        yield from self._guests(guest_of)
        yield from self._of_nobody(guest_of)

    def _guests(self, guest_of: dict[str, str]) -> Iterator[Entry]:
        """Yield what a tenant stores about a member who is at home in another."""
        for home, host in guest_of.items():
            parents = {**self.sets[home], "tenant_accounts": self.sets[host]["tenant_accounts"]}
            for name in OF_MEMBERSHIP:
                yield Entry(row_of(name, f"{home} at {host}", parents), frozenset([host]))
        # Somebody who has left: what is stored about them stays the tenant's.
        left = {**self.sets["gamma2"], "tenant_accounts": self.sets["alpha"]["tenant_accounts"]}
        for name in ("user_login_events", "user_sessions", "security_events"):
            yield Entry(row_of(name, "left", left), frozenset(["alpha"]))

    def _of_nobody(self, guest_of: dict[str, str]) -> Iterator[Entry]:
        for home in TENANTS:
            for name in OF_NOBODY:
                row = row_of(name, f"nobody {home}", self.sets[home], **_unowned(name))
                hosts = {home, guest_of.get(home, home)}
                shown = hosts if name == "user_notification_preferences" else set[str]()
                yield Entry(row, frozenset(shown))


def _seers(table: str, tenant: str, host: str | None) -> frozenset[str]:
    """Return who sees a row of *tenant*, whose person may be the guest of a *host*."""
    if table in SHARED:
        return frozenset(TENANTS)
    if table in OPERATOR:
        return frozenset()
    return frozenset({tenant, host} if host and table in OF_PERSON else {tenant})


def _unowned(table: str) -> dict[str, Any]:
    """Return the columns of a row that lead to rows of a tenant, empty: it is about a person."""
    found = ((column, parent_of(column)) for column in table_of(MODELS[table]).columns)
    kept = {"users", *OPERATOR}
    return {attribute_of(c): None for c, to in found if to is not None and to.table not in kept}


def _number(row: Base, number: int) -> None:
    """Give a row the number that the database would draw as its key."""
    for column in table_of(type(row)).primary_key.columns:
        if is_drawn(column):
            setattr(row, attribute_of(column), number)
