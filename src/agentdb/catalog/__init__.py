"""The comparison of a live database with what the models say.

Alembic's comparison is blind to the predicates of indexes, generated expressions and the order of
enumeration labels; here the catalogs of the database are read. Nothing is written, so that a role
that may only read, a read-only transaction and a standby will do.
"""

from __future__ import annotations

from agentdb.catalog.compare import differences
from agentdb.catalog.difference import Difference, Kind

__all__ = ["Difference", "Kind", "differences"]
