"""A lock on what has no row yet."""

from __future__ import annotations

import hashlib

from sqlalchemy import func, literal, select

from agentdb.types import BigInteger
from agentdb.unit import Unit

_BYTES = 8
"""Of a key of PostgreSQL's advisory locks, a bigint."""


async def lock_name(unit: Unit, *parts: object) -> None:
    """Let one unit after the other go on with a name, until each ends.

    On PostgreSQL it is an advisory lock on a digest of the name. It belongs to the transaction, not
    to the session, so it holds behind a pooler in transaction mode, and nothing has to release it.
    Two names of one digest only wait for each other. On SQLite the unit has the one write lock
    already.
    """
    if unit.is_postgresql:
        digest = hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).digest()
        key = int.from_bytes(digest[:_BYTES], signed=True)
        await unit.execute(select(func.pg_advisory_xact_lock(literal(key, BigInteger()))))
