"""The databases that are fuzzed: one that all tenants share, and one for each tenant alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from agentdb.engines import make_async_engine, make_sync_engine
from agentdb.settings import Settings
from agentdb.testing import Template
from agentdb.testing.factories.columns import is_drawn
from agentdb.testing.policies import RoleUrls, under_policies
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS, store, table_of
from tests.tenancy.fuzz.columns import Texts, stored_texts
from tests.tenancy.fuzz.contents import FIRST_NEW, Contents, Scrubber, contents, stored_key
from tests.tenancy.fuzz.population import Population

READ_ONLY = {
    "postgresql": (
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        (
            "CREATE TRIGGER leave BEFORE UPDATE OR DELETE ON user_notification_preferences"
            " FOR EACH ROW WHEN (OLD.tenant_id IS NULL) EXECUTE FUNCTION leave()"
        ),
    ),
    "sqlite": tuple(
        f"CREATE TRIGGER leave_{verb} BEFORE {verb} ON user_notification_preferences"
        " WHEN OLD.tenant_id IS NULL BEGIN SELECT RAISE(IGNORE); END"
        for verb in ("UPDATE", "DELETE")
    ),
}
"""What keeps a tenant that is alone from writing the preferences which hold for all tenants."""


@dataclass(frozen=True)
class Stored:
    """The databases, filled.

    Attributes:
        population: What is stored.
        shared: The URL of the database of all tenants, by a role that nothing binds.
        alone: The URL of the database of each tenant, by its label.
        roles: The URLs of the shared one under row-level security; None on SQLite.
        content: What the shared one holds.
        owned: The keys in the content that each tenant may see.
        texts: What stands in its columns.
    """

    population: Population
    shared: str
    alone: dict[str, str]
    roles: RoleUrls | None
    content: Contents
    owned: dict[str, frozenset[tuple[str, str]]]
    texts: Texts


@contextmanager
def stored(template: Template) -> Generator[Stored]:
    """Fill databases, and drop them in the end."""
    population = Population()
    shared = template.clone()
    content, texts = _fill(shared, population)
    alone = {tenant: template.clone() for tenant in population.tenants}
    dialect = "sqlite" if shared.startswith("sqlite") else "postgresql"
    owned = {tenant: _seen(population, tenant, dialect) for tenant in alone}
    for tenant, url in alone.items():
        _copy(shared, url, content.keys() - owned[tenant])
    policed = under_policies(shared) if dialect == "postgresql" else nullcontext()
    with policed as roles:
        yield Stored(population, shared, alone, roles, content, owned, texts)
    for url in (shared, *alone.values()):
        template.drop(url)


def _fill(url: str, population: Population) -> tuple[Contents, Texts]:
    engine = make_sync_engine(url, Settings())
    with Session(engine, expire_on_commit=False) as session:
        store(session, [entry.row for entry in population.entries])
        session.flush()
        restart_numbers(session.connection())
        found = contents(session.connection()), stored_texts(session.connection())
        session.commit()
    engine.dispose()
    return found


def _seen(population: Population, tenant: str, dialect: str) -> frozenset[tuple[str, str]]:
    seen = (e for e in population.entries if tenant in e.seen_by)
    return frozenset((e.table, stored_key(e.row, dialect)) for e in seen)


def _copy(source: str, target: str, hidden: Iterable[tuple[str, str]]) -> None:
    """Copy all rows but those of another, as they are: what they refer to may be hidden."""
    origin, copy = (make_sync_engine(url, Settings()) for url in (source, target))
    with origin.connect() as reading, copy.connect() as writing:
        if writing.dialect.name == "postgresql":
            writing.exec_driver_sql("SET session_replication_role = replica")
        else:
            # No effect within a transaction.
            driver: Any = writing.connection.driver_connection
            driver.execute("PRAGMA foreign_keys = OFF")
        for model in MODELS.values():
            table = table_of(model)
            columns = [column for column in table.columns if column.computed is None]
            if rows := reading.execute(select(*columns)).mappings().all():
                writing.execute(insert(table), [dict(row) for row in rows])
        _delete(writing, hidden)
        for sql in READ_ONLY[writing.dialect.name]:
            writing.exec_driver_sql(sql)
        restart_numbers(writing)
        writing.commit()
    origin.dispose()
    copy.dispose()


def _delete(connection: Connection, keys: Iterable[tuple[str, str]]) -> None:
    for name, key in keys:
        columns = [column.name for column in table_of(MODELS[name]).primary_key]
        if connection.dialect.name == "postgresql":
            found = f"concat_ws('/', {', '.join(columns)})"
        else:
            found = " || '/' || ".join(f"quote({column})" for column in columns)
        connection.execute(text(f"DELETE FROM {name} WHERE {found} = :key"), {"key": key})


def restart_numbers(connection: Connection) -> None:
    """Have the database draw the numbers of new rows from far off, everywhere alike."""
    for name, model in MODELS.items():
        if not any(is_drawn(column) for column in table_of(model).primary_key):
            continue
        if connection.dialect.name == "postgresql":
            find = text("SELECT pg_get_serial_sequence(:t, 'id')")
            sequence = connection.execute(find, {"t": name}).scalar_one()
            connection.exec_driver_sql(f"ALTER SEQUENCE {sequence} RESTART WITH {FIRST_NEW}")
        else:
            move = text("UPDATE sqlite_sequence SET seq = :n WHERE name = :t")
            connection.execute(move, {"n": FIRST_NEW - 1, "t": name})


class Arena:
    """Engines on the databases, for one event loop.

    Attributes:
        stored: The databases.
        shared: The engine of the one that is fuzzed.
        alone: The engines of those that tell what is right.
        scrub: Takes from texts what differs each time.
        cursors: For each table, cursors of pages over the rows of all tenants.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.shared = make_async_engine(stored.shared, Settings())
        self.alone = {t: make_async_engine(url, Settings()) for t, url in stored.alone.items()}
        self.scrub = Scrubber(stored.population)
        self.cursors: dict[str, list[str]] = {}

    @property
    def population(self) -> Population:
        """What is stored."""
        return self.stored.population

    @property
    def role(self) -> str | None:
        """The role that the policies bind; None on SQLite."""
        roles = self.stored.roles
        return None if roles is None else make_url(roles.app).username

    @property
    def engines(self) -> list[AsyncEngine]:
        """All engines."""
        return [self.shared, *self.alone.values()]

    async def collect_cursors(self) -> None:
        """Page through every table as the system does, and keep the cursors."""
        async with AsyncSession(self.shared, expire_on_commit=False) as session:
            unit = UnitOfWork(session, system="collect cursors")
            for name in MODELS:
                page = await getattr(unit, name).page(limit=1)
                self.cursors[name] = []
                while page.next_cursor is not None:
                    self.cursors[name].append(page.next_cursor)
                    page = await getattr(unit, name).page(limit=1, after=page.next_cursor)


@asynccontextmanager
async def arena_of(stored: Stored) -> AsyncGenerator[Arena]:
    """Yield engines on filled databases."""
    arena = Arena(stored)
    await arena.collect_cursors()
    yield arena
    for engine in arena.engines:
        await engine.dispose()
