"""What goes into the verbs of a tenant's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from agentdb.types import JsonObject


class BillingContact(TypedDict):
    """Somebody who is told of invoices and payments.

    Attributes:
        name: 1 to 128 characters, trimmed, white space collapsed.
        email: The address, stored in its canonical form.
        role: What they are there.
        phone: Their number.
        notify: Whether they are told; yes, unless it says no.
    """

    name: str
    email: str
    role: NotRequired[str | None]
    phone: NotRequired[str | None]
    notify: NotRequired[bool]


class SettingsFields(TypedDict, total=False):
    """What a write sets; what it does not name stays.

    Attributes:
        billing_contacts: Up to 10 contacts, in place of the present ones.
        billing_webhook_url: An address of http or https; None for none.
        plan_metadata: What the host notes about the plan, in place of the present notes.
        flags: Switches by name, in place of the present ones; entitlements stay.
    """

    billing_contacts: Sequence[BillingContact]
    billing_webhook_url: str | None
    plan_metadata: JsonObject
    flags: Mapping[str, bool]
