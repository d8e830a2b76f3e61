"""Look a refresh token up by its id, and a user by e-mail: what every request begins with.

The baseline is the statement alone, in autocommit. What one would use instead is an AsyncSession of
SQLAlchemy over the same models.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import cycle
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from agentdb import UnitOfWork
from agentdb.models import ServiceAccountToken, User
from agentdb.urls import async_url
from benchmarks.harness import CLIENTS, Bench, Case, Goal, Place, Raw, Role, repeat

TOKENS = """
    INSERT INTO service_account_tokens
        (id, account, scope_key, scopes, refresh_token_hash, refresh_jti, signing_kid,
         issued_at, expires_at, created_at, updated_at)
    SELECT gen_random_uuid(), 'service-' || n, 'read', '["read"]', repeat('0', 64), 'token-' || n,
        'key', now(), now() + interval '1 day', now(), now()
    FROM generate_series(1, %s) n
"""
USERS = """
    INSERT INTO users
        (id, email, password_hash, password_pepper_version, status, created_at, updated_at)
    SELECT gen_random_uuid(), 'user-' || n || '@example.com', repeat('0', 64), 'v2', 'active',
        now(), now()
    FROM generate_series(1, %s) n
"""
BY_JTI = "SELECT * FROM service_account_tokens WHERE refresh_jti = %s"
BY_ADDRESS = "SELECT * FROM users WHERE email = %s"

BASE, ORM = "psycopg, autocommit", "SQLAlchemy AsyncSession"
BY_TOKEN, BY_EMAIL = "a refresh token by its id", "a user by e-mail"

GOALS = tuple(
    goal
    for title in (BY_TOKEN, BY_EMAIL)
    for goal in (
        Goal(title, BASE, 0.70),
        Goal(title, BASE, 1.8, measure="cpu"),
        Goal(title, ORM, 3.5),
    )
)


class Begin(Protocol):
    """Begins a unit of the system."""

    def __call__(self, *, reason: str) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin it."""
        ...


Find = Callable[[str], Awaitable[None]]
"""Finds a row by its key."""


async def raw_find(raw: Raw, query: str, key: str) -> None:
    """Find a row on the driver."""
    if await (await raw.execute(query.encode(), [key])).fetchone() is None:
        raise LookupError(key)


async def our_token(begin: Begin, key: str) -> None:
    """Find a token by the verb."""
    async with begin(reason="benchmark") as uow:
        if await uow.service_account_tokens.by_refresh_jti(key) is None:
            raise LookupError(key)


async def our_user(begin: Begin, key: str) -> None:
    """Find a user by the verb."""
    async with begin(reason="benchmark") as uow:
        if await uow.users.by_email(key) is None:
            raise LookupError(key)


async def orm_token(sessions: async_sessionmaker[AsyncSession], key: str) -> None:
    """Find a token in a session of SQLAlchemy."""
    async with sessions() as session:
        query = select(ServiceAccountToken).where(ServiceAccountToken.refresh_jti == key)
        (await session.execute(query)).scalar_one()


async def orm_user(sessions: async_sessionmaker[AsyncSession], key: str) -> None:
    """Find a user in a session of SQLAlchemy."""
    async with sessions() as session:
        (await session.execute(select(User).where(User.email == key))).scalar_one()


@asynccontextmanager
async def orm(url: str) -> AsyncGenerator[async_sessionmaker[AsyncSession]]:
    """Yield sessions on an engine as SQLAlchemy makes it."""
    engine = create_async_engine(async_url(url), pool_size=CLIENTS)
    try:
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await engine.dispose()


async def fill(place: Place, count: int) -> None:
    """Store tokens and users by SQL."""
    for load in (TOKENS, USERS):
        await place.raw.execute(load.encode(), [count])
    await place.raw.execute("VACUUM ANALYZE service_account_tokens, users")


async def measure(bench: Bench) -> None:
    """Measure one client and keys that come round."""
    place = await bench.place()
    count, times = bench.size(10_000, 100), bench.size(300, 3)
    await fill(place, count)
    sessions = await bench.keep(orm(place.url))
    ways = {
        BY_TOKEN: ("token-{}", BY_JTI, our_token, orm_token),
        BY_EMAIL: ("user-{}@example.com", BY_ADDRESS, our_user, orm_user),
    }
    for title, (pattern, query, ours, theirs) in ways.items():
        keys = cycle([pattern.format(n) for n in range(1, count, 7)])
        finders: list[tuple[str, Role, Find]] = [
            (BASE, "baseline", partial(raw_find, place.raw, query)),
            ("agentdb", "agentdb", partial(ours, place.database.lookup)),
            ("agentdb, in a transaction", "agentdb", partial(ours, place.database.read)),
            (ORM, "peer", partial(theirs, sessions)),
        ]
        cases = [
            Case(name, partial(find_each, find, keys, times), role) for name, role, find in finders
        ]
        await bench.compare(title, cases, unit="look-ups")


async def find_each(find: Find, keys: Iterator[str], times: int) -> int:
    """Find some rows, one after the other."""
    return await repeat(times, lambda: find(next(keys)))
