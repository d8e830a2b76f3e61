"""References from rows of one tenant to another tenant's, wherever they stand."""

from __future__ import annotations

from agentdb.testing.factories.references import table_of
from agentdb.testing.snapshots import Snapshot, differences, snapshot
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS
from tests.tenancy.paths import referring
from tests.tenancy.references import REFERENCES
from tests.tenancy.worlds import World, beside


async def links(world: World, unit: UnitOfWork) -> list[str]:
    """Return what the transaction of *unit* has changed of the other tenant, or tied to it."""
    async with beside(unit, system="compare all tables") as system:
        after = await (await system.session.connection()).run_sync(snapshot)
    changed = differences(world.content, after)
    theirs = {(n, k) for n, k in changed & world.content.keys() if _is_theirs(world, n, k)}
    return sorted([*(f"{n} {k}" for n, k in theirs), *_ties(world, after, changed)])


def _is_theirs(world: World, table: str, key: tuple[object, ...]) -> bool:
    columns = [column.key for column in table_of(MODELS[table]).primary_key]
    mine = world.beta[table]
    return key != tuple(getattr(mine, name) for name in columns)


def _ties(world: World, after: Snapshot, changed: set[tuple[str, tuple[object, ...]]]) -> list[str]:
    found: list[str] = []
    for table, key in changed & after.keys():
        for reference in REFERENCES:
            if reference.table == table:
                foreign = referring(table, reference.attribute, world.alpha)
                if after[table, key][reference.attribute] == foreign:
                    found.append(f"{reference} of {key}")
    return found
