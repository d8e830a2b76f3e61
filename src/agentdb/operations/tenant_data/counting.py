"""Counting rows of many tables in one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import func, literal, select

from agentdb.operations.tenant_data.tables import Condition, table_named
from agentdb.unit_of_work import UnitOfWork


async def count_rows(
    uow: UnitOfWork, conditions: Mapping[str, Condition], limit: int | None = None
) -> Counter[str]:
    """Return how many rows of each table meet their condition, those without any left out.

    Args:
        uow: A system unit of work.
        conditions: A condition for each table.
        limit: Count no further than this in any of them; None for no limit.
    """
    found = [
        select(literal(1)).select_from(table_named(name)).where(where).limit(limit).subquery()
        for name, where in conditions.items()
    ]
    counts = [select(func.count()).select_from(rows).scalar_subquery() for rows in found]
    row = (await uow.execute(select(*counts))).one()
    return Counter({name: n for name, n in zip(conditions, row, strict=True) if n})
