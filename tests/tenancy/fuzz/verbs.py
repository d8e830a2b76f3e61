"""Steps that call the verbs of repositories, with keys, values and cursors of whatever tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from agentdb.errors import ReferencedError
from tests.rows import MODELS, attribute_of, key_of, table_of, values_of
from tests.tenancy.fuzz.columns import columns_to_write, written
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.flushes import alone, mixed
from tests.tenancy.fuzz.reads import comparison, condition, source_of
from tests.tenancy.fuzz.sides import Side
from tests.tenancy.fuzz.steps import Step
from tests.tenancy.verbs import calls

Verb = Callable[[Any], Awaitable[Any]]
"""Calls a verb of a repository."""


def domain(draw: Draw) -> Step:
    """Draw any verb of a table, with the known arguments made from rows of whatever tenants."""
    table = draw.table()
    rows = mixed(draw, draw.among([0, 0.2, 1]))
    number = draw.rng.randrange(10**6)

    async def call(side: Side) -> Any:
        repository = getattr(side.unit, table)
        found = list(calls(repository, rows))
        return await found[number % len(found)].on(side.unit, table)

    return Step(f"{table} verb {number}", call, table, writes=True, by_unit=True, typed=True)


def generic(draw: Draw) -> Step:
    """Draw one of the verbs that all repositories have, with random conditions and keys."""
    table = draw.table()
    made = draw.among([_all, _count, _exists, _find, _get, _get_many, _page, _stream])
    verb = made(draw, table)
    return Step(f"{table} {made.__name__[1:]}", _on(table, verb), table, by_unit=True, typed=True)


def writing(draw: Draw) -> Step:
    """Draw a change or a deletion by key, or an upsert, of a row of whatever tenant."""
    table = draw.table()
    made = draw.among([_update, _delete, _upsert])
    verb = made(draw, table)
    return Step(
        f"{table} {made.__name__[1:]}",
        _on(table, verb),
        table,
        writes=True,
        by_unit=True,
        typed=True,
    )


def _on(table: str, verb: Verb) -> Callable[[Side], Awaitable[Any]]:
    async def call(side: Side) -> Any:
        return await verb(getattr(side.unit, table))

    return call


def _where(draw: Draw, table: str) -> list[Any]:
    fields = source_of(MODELS[table], table).fields
    made = [comparison(draw, fields), condition(draw, fields, 1)]
    return made[: draw.among([0, 1, 1, 2])]


def _key(draw: Draw, table: str) -> Any:
    """Draw the key of a row: mostly of another tenant's."""
    foreign, own = (f(draw.tenant, table) for f in (draw.population.foreign, draw.population.own))
    rows = foreign if foreign and (draw.chance(0.7) or not own) else own
    return key_of(draw.among(rows))


def _all(draw: Draw, table: str) -> Verb:
    where = _where(draw, table)
    return lambda repository: repository.all(*where, include_deleted=True)


def _count(draw: Draw, table: str) -> Verb:
    where = _where(draw, table)
    return lambda repository: repository.count(*where)


def _exists(draw: Draw, table: str) -> Verb:
    where = _where(draw, table)
    return lambda repository: repository.exists(*where)


def _find(draw: Draw, table: str) -> Verb:
    where = _where(draw, table)
    return lambda repository: repository.find(*where)


def _get(draw: Draw, table: str) -> Verb:
    # PostgreSQL locks no row that may not be changed, as preferences which hold for all tenants.
    lock = draw.chance(0.3) and table != "user_notification_preferences"
    key = _key(draw, table)
    return lambda repository: repository.get(key, lock=lock)


def _get_many(draw: Draw, table: str) -> Verb:
    keys = [_key(draw, table) for _ in range(4)]

    async def verb(repository: Any) -> list[Any]:
        return list((await repository.get_many(keys)).values())

    return verb


def _page(draw: Draw, table: str) -> Verb:
    """Go on from the row of another tenant, by the cursor that it was given, or a broken one."""
    cursors = draw.arena.cursors[table]
    after = draw.among([None, "", "forged", *cursors, *(cursor[::-1] for cursor in cursors[:1])])
    limit = draw.among([1, 2, 50])
    return lambda repository: repository.page(after=after, limit=limit)


def _stream(draw: Draw, table: str) -> Verb:
    where = _where(draw, table)

    async def verb(repository: Any) -> list[Any]:
        return [row async for row in repository.stream(*where, batch=2)]

    return verb


def _update(draw: Draw, table: str) -> Verb:
    key, columns = _key(draw, table), columns_to_write(table)
    values = {attribute_of(c): written(c) for c in columns[:1]}
    return lambda repository: repository.update(key, **values)


def _delete(draw: Draw, table: str) -> Verb:
    key = _key(draw, table)
    return lambda repository: repository.delete(key)


def upserting(draw: Draw) -> Step:
    """Draw an upsert of a row of whatever tenant."""
    table = draw.table()
    verb = _upsert(draw, table)
    return Step(f"{table} upsert", _on(table, verb), table, writes=True, by_unit=True, typed=True)


def _upsert(draw: Draw, table: str) -> Verb:
    """Insert a row under the key of another tenant's, or change it."""
    foreign = draw.population.foreign(draw.tenant, table)
    if not foreign:
        return _delete(draw, table)
    own = draw.population.own(draw.tenant, table)
    values = values_of(table, f"upsert{draw.rng.randrange(10**6)}", mixed(draw, 0)) | alone(table)
    keys = [attribute_of(column) for column in table_of(MODELS[table]).primary_key]
    values |= {name: getattr(draw.among(foreign), name) for name in keys}
    changed = [attribute_of(c) for c in columns_to_write(table)[:1]] if draw.chance(0.5) else None

    async def verb(repository: Any) -> Any:
        for row in own:  # which may hold other unique keys
            with suppress(ReferencedError):
                await repository.delete(key_of(row))
        return await repository.upsert(values, keys, update=changed)

    return verb
