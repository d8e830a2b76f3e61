"""Which columns hold ciphertexts, and whose secret each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.orm import InstrumentedAttribute

from agentdb.tenancy.predicates import model_of


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """A column of ciphertexts.

    Attributes:
        table: Its table, whose primary key is one UUID.
        name: Its name.
        owner: The column of the same table that a value is bound to; it never changes.
    """

    table: str
    name: str
    owner: str

    def attribute(self) -> InstrumentedAttribute[bytes | None]:
        """Return the attribute of the model, as `KeyRing` takes it."""
        return cast("InstrumentedAttribute[bytes | None]", getattr(model_of(self.table), self.name))


ENCRYPTED = (
    EncryptedColumn("status_subscriptions", "target_encrypted", "tenant_id"),
    EncryptedColumn("status_subscriptions", "unsubscribe_token_encrypted", "tenant_id"),
    EncryptedColumn("status_subscriptions", "webhook_secret_encrypted", "tenant_id"),
    EncryptedColumn("user_mfa_methods", "secret_encrypted", "user_id"),
    EncryptedColumn("user_sessions", "ip_encrypted", "user_id"),
)
"""All columns that hold ciphertexts; the rotation of keys walks over them."""


def purpose_of(attribute: InstrumentedAttribute[Any]) -> str:
    """Return the name of a mapped column, with its table in front."""
    (column,) = attribute.property.columns
    # A schema that the host puts the table in is no part of it.
    return f"{cast('Table', column.table).name}.{column.name}"
