"""The keys that are unique across tenants: what one holds, no other can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Column, Index, PrimaryKeyConstraint, UniqueConstraint

from agentdb.orm import TenancyClass
from tests.rows import MODELS, attribute_of, table_of
from tests.tenancy.references import Kind, holds_id, kind_of


class Key(NamedTuple):
    """A unique key without the tenant in it.

    Attributes:
        table: Its table.
        name: The constraint or index.
        attributes: Its columns.
        is_primary: Whether it is the primary key.
    """

    table: str
    name: str
    attributes: tuple[str, ...]
    is_primary: bool

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.attributes)}"


OF_NOBODY = {"uq_service_account_tokens_active_global"}
"""Keys of rows without a tenant, which no tenant writes."""
EXPECTED = {
    "agent_conversations": {"conversation_key", "provider_conversation_id"},
    "agent_run_usage": {"response_id"},
    "containers": {"openai_id"},
    "service_account_tokens": {"refresh_jti"},
    "tenant_accounts": {"slug"},
    "user_sessions": {"refresh_jti"},
    "users": {"email"},
    "vector_stores": {"openai_id"},
}
"""Those that are no primary keys."""


def _keys() -> Iterator[Key]:
    for table, model in MODELS.items():
        of_operator = model.__tenancy__.kind in {TenancyClass.SHARED, TenancyClass.SYSTEM}
        if of_operator or table == "tenant_signup_invite_reservations":
            continue  # system units alone make rows of it
        for unique in unique_keys(table):
            # A key with the tenant in it, or with a row of the tenant, is the tenant's own.
            if not any(map(_is_bound, unique.columns)) and unique.name not in OF_NOBODY:
                names = tuple(map(attribute_of, unique.columns))
                is_primary = isinstance(unique, PrimaryKeyConstraint)
                yield Key(table, str(unique.name), names, is_primary)


def unique_keys(table: str) -> list[PrimaryKeyConstraint | UniqueConstraint | Index]:
    """Return the unique constraints and indexes of a table."""
    declared = table_of(MODELS[table])
    kinds = (PrimaryKeyConstraint, UniqueConstraint)
    constraints = [c for c in declared.constraints if isinstance(c, kinds)]
    return [*constraints, *(index for index in declared.indexes if index.unique)]


def _is_bound(column: Column[object]) -> bool:
    return holds_id(column) and kind_of(column) in {Kind.OWNER, Kind.TIE, Kind.PERSON}


KEYS = sorted(key for key in _keys() if key.name != "ix_user_sessions_refresh_jti")
"""All of them; one column of sessions is unique twice."""
