"""What the settings of a tenant may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

from agentdb.canonical import canonical_email, check_name
from agentdb.checks import check_switch, check_values
from agentdb.errors import InvalidValueError, PermissionDeniedError
from agentdb.tenants.models import TenantSettings
from agentdb.tenants.rows import BillingContact
from agentdb.tenants.values import ENTITLEMENT_PREFIX
from agentdb.types import JsonObject

MAX_CONTACTS = 10
MAX_CONTACT_NAME = 128


def checked_contacts(contacts: Sequence[BillingContact]) -> list[JsonObject]:
    """Return billing contacts as they are stored.

    Raises:
        InvalidValueError: There are too many, or one lacks a name or an address, has a key that is
            not known, or a value that is refused.
    """
    given = check_values(contacts, "contacts")
    if len(given) > MAX_CONTACTS:
        raise _refusal(f"at most {MAX_CONTACTS} contacts", "billing_contacts_json")
    return [_contact(contact) for contact in given]


def _contact(contact: object) -> JsonObject:
    given = dict(cast("Mapping[str, object]", contact)) if isinstance(contact, Mapping) else {}
    texts = {key: given.pop(key, None) for key in ("name", "email", "role", "phone")}
    notify = given.pop("notify", True)
    if given or type(notify) is not bool:
        message = "a contact has a name, an email, a role, a phone and whether to notify"
        raise _refusal(message, "billing_contacts_json")
    name, email = check_name(_text(texts.pop("name"))), canonical_email(_text(texts.pop("email")))
    if len(name) > MAX_CONTACT_NAME:
        message = f"the name of a contact has at most {MAX_CONTACT_NAME} characters"
        raise _refusal(message, "billing_contacts_json")
    optional = {key: _text(value) for key, value in texts.items() if value is not None}
    return {"name": name, "email": email, **optional, "notify": notify}


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = "the name, email, role and phone of a contact are text"
        raise _refusal(message, "billing_contacts_json")
    return value


def check_webhook(url: str | None) -> str | None:
    """Return *url* if a webhook can be called there, or if it is None.

    Raises:
        InvalidValueError: It is no address of http or https.
    """
    if url is None or _is_web_address(url):
        return url
    raise _refusal("expects an address of http or https", "billing_webhook_url")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def is_entitlement(key: str) -> bool:
    """Tell whether a flag is the operator's to set."""
    return key.startswith(ENTITLEMENT_PREFIX)


def check_flags(flags: Mapping[str, bool | None], *, entitlements: bool, removing: bool) -> None:
    """Refuse what are no flags, and entitlements unless they may be set.

    Args:
        flags: Switches by name.
        entitlements: Whether entitlements may be set.
        removing: Whether None is a value: it removes the flag.

    Raises:
        InvalidValueError: A name is empty, or a value is neither true nor false.
        PermissionDeniedError: There is an entitlement among them.
    """
    check_switch(entitlements, "a permission")
    if not isinstance(flags, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise _refusal("expects flags by name", "flags_json")
    for key, value in cast("Mapping[object, object]", flags).items():
        if not isinstance(key, str) or not key:
            raise _refusal("the name of a flag is text", "flags_json")
        if type(value) is not bool and not (removing and value is None):
            raise _refusal("a flag is true or false", "flags_json")
    if not entitlements and any(map(is_entitlement, flags)):
        raise PermissionDeniedError("entitlements are set by `operations.set_entitlements`")


def _refusal(message: str, column: str) -> InvalidValueError:
    return InvalidValueError(message, table=TenantSettings.__tablename__, column=column)
