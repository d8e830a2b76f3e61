"""Key rings of tests, and rows that hold ciphertexts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from agentdb.crypto import ENCRYPTED, KeyRing
from agentdb.database import Database
from agentdb.models import UserMfaMethod
from agentdb.orm import Base
from agentdb.tenancy.predicates import model_of, table_of
from agentdb.testing import Factory

KEYS = {name: name.encode() * 8 for name in ("old1", "new1", "lost")}
"""Keys of 32 bytes by their ids."""

SECRET = UserMfaMethod.secret_encrypted
TABLES = sorted({column.table for column in ENCRYPTED})


def ring_of(*key_ids: str) -> KeyRing:
    """Return a ring of these keys, the first of them primary."""
    return KeyRing({key_id: KEYS[key_id] for key_id in key_ids})


OLD = ring_of("old1")
BOTH = ring_of("new1", "old1")
NEW = ring_of("new1")
LOST = ring_of("lost")


def enroll(make: Factory, ring: KeyRing = OLD, count: int = 1) -> list[UserMfaMethod]:
    """Store second factors of as many people, whose secrets are ``secret-0``, ``secret-1`` …."""
    users = make.user.many(count)
    return [
        make.user_mfa_method(
            user_id=user.id,
            secret_encrypted=ring.encrypt(f"secret-{number}", SECRET, owner=user.id),
        )
        for number, user in enumerate(users)
    ]


def fill(make: Factory, ring: KeyRing = OLD) -> int:
    """Store two rows of each table, each encrypted column filled; return how many values."""
    for name in TABLES:
        for _ in range(2):
            row: Any = make.make(model_of(name), **_placeholders(name))
            values = {c.name: _sealed(ring, c.table, c.name, row) for c in columns_of(name)}
            table = table_of(model_of(name))
            with make.transaction() as session:
                session.execute(update(table).where(table.c.id == row.id).values(values))
    return 2 * len(ENCRYPTED)


def columns_of(table: str) -> list[Any]:
    """Return the encrypted columns of a table."""
    return [column for column in ENCRYPTED if column.table == table]


def _placeholders(table: str) -> dict[str, bytes]:
    return {column.name: b"" for column in columns_of(table)}


def _sealed(ring: KeyRing, table: str, name: str, row: Base) -> bytes:
    (column,) = (c for c in columns_of(table) if c.name == name)
    return ring.encrypt(name, column.attribute(), owner=getattr(row, column.owner))


async def stored(database: Database) -> dict[tuple[str, str, UUID], bytes]:
    """Return all ciphertexts by their places."""
    found: dict[tuple[str, str, UUID], bytes] = {}
    async with database.read(reason="test") as uow:
        for column in ENCRYPTED:
            table = table_of(model_of(column.table))
            query = select(table.c.id, table.c[column.name].label("value"))
            for row in await uow.execute(query):
                found[column.table, column.name, row.id] = row.value
    return found


async def opened(database: Database, ring: KeyRing) -> list[str]:
    """Return all secrets, opened with a ring."""
    secrets: list[str] = []
    async with database.read(reason="test") as uow:
        for column in ENCRYPTED:
            table = table_of(model_of(column.table))
            value, owner = table.c[column.name].label("value"), table.c[column.owner]
            for row in await uow.execute(select(value, owner.label("owner")).order_by(table.c.id)):
                secret = ring.decrypt(row.value, column.attribute(), owner=row.owner)
                secrets.append(secret.decode())
    return secrets
