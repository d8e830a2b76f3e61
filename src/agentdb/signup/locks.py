"""A lock for what has no row yet: the requests that come from one address."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, literal, select

from agentdb.types import BigInteger
from agentdb.unit import Unit

_BYTES = 8
"""Of a key of PostgreSQL's advisory locks, a bigint."""


async def lock_address(unit: Unit, ip_address: str) -> None:
    """Let one unit after the other submit requests from an address, until each ends.

    There is no row to lock before the first request, and none that all requests of an address
    share. On PostgreSQL it is an advisory lock on a digest of the address. It belongs to the
    transaction, not to the session, so it holds behind a pooler in transaction mode, and nothing
    has to release it. Two addresses with one digest only wait for each other. On SQLite the unit
    has the one write lock already.
    """
    if unit.is_postgresql:
        digest = hashlib.sha256(f"agentdb sign-up {ip_address}".encode()).digest()
        key = int.from_bytes(digest[:_BYTES], signed=True)
        await unit.execute(select(func.pg_advisory_xact_lock(literal(key, BigInteger()))))
