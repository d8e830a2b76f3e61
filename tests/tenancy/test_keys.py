"""A key that another tenant holds is taken, whatever asks for it, and nothing else is learnt.

On PostgreSQL also under row-level security, where the row that holds the key is out of sight: there
``ON CONFLICT DO NOTHING`` inserts nothing, and finds nothing either.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.dialects.postgresql import insert

from agentdb.database import Database
from agentdb.errors import (
    AgentDBError,
    AppendOnlyError,
    DuplicateError,
    InvalidValueError,
    PermissionDeniedError,
)
from agentdb.models import Container
from agentdb.repository import AppendOnlyRepository
from agentdb.repository.writes import VerbWrittenRepository
from agentdb.tenancy.guard import KEPT
from agentdb.unit_of_work import UnitOfWork
from tests.rows import Rows, rows_of, table_of, values_of
from tests.tenancy.key_verbs import VERBS
from tests.tenancy.keys import EXPECTED, KEYS, Key, unique_keys
from tests.tenancy.paths import APART, PATHS, Path, answer
from tests.tenancy.worlds import World, foreign_changes, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHERS = {
    name: {str(u.name) for u in unique_keys(name)} - {key.name for key in KEYS}
    for name in {key.table for key in KEYS}
}
"""Keys of the own tenant, which a second row of a table may meet before."""
STORED = {"flush_stored", "update"}
"""Paths that change a row, whose primary key stays."""


async def upsert_on(unit: UnitOfWork, table: str, own: Rows, key: tuple[Key, Any, Any]) -> None:
    """Insert a row, or update the one with the key."""
    unique, values, chosen = key
    row = {**values_of(table, "new", own), **APART.get(table, {}), **values}
    await getattr(unit, table).upsert(row, list(unique.attributes), update=chosen)


def held(key: Key, rows: Rows) -> dict[str, Any]:
    """Return what a tenant's row holds in the columns of a key."""
    return {name: getattr(rows[key.table], name) for name in key.attributes}


def paths_of(unit: UnitOfWork, key: Key) -> dict[str, Path]:
    """Return the paths that are open to a key: none makes rows that are the operator's."""
    repository = getattr(unit, key.table)
    closed: set[str] = {"upsert"}
    closed |= STORED if key.is_primary else set()
    closed |= PATHS.keys() - STORED if key.table in KEPT else set()
    if isinstance(repository, VerbWrittenRepository):
        closed |= {"add", "add_many", "update"}
    if isinstance(repository, AppendOnlyRepository):
        closed |= {"update"}
    return {name: path for name, path in PATHS.items() if name not in closed}


async def assert_taken(unit: UnitOfWork, key: Key, world: World) -> None:
    """Assert that a key of the other tenant is taken on every path of a unit of beta."""
    for name, path in paths_of(unit, key).items():
        error = await answer(unit, path, key.table, world.beta, held(key, world.alpha))
        assert_duplicate(error, key, name)
    repository = getattr(unit, key.table)
    refusing = isinstance(repository, VerbWrittenRepository | AppendOnlyRepository)
    for chosen in (None, ()):
        given = (key, held(key, world.alpha), chosen)
        error = await answer(unit, upsert_on, key.table, world.beta, given)
        if refusing or key.table in KEPT:
            assert isinstance(error, PermissionDeniedError | AppendOnlyError)
        else:
            assert_duplicate(error, key, "upsert")


def assert_duplicate(error: AgentDBError | None, key: Key, path: str) -> None:
    """Assert that an error says of a key that it is taken, and no more."""
    assert type(error) is DuplicateError, (path, error)
    assert error.constraint in {key.name, *OTHERS.get(key.table, ())}, path
    assert str(error) == f"{error.constraint} is taken", path


async def test_the_keys_that_are_unique_across_tenants_are_known() -> None:
    """Whoever adds one finds it here, and has to think of what its holders show."""
    found: dict[str, set[str]] = defaultdict(set)
    for key in KEYS:
        if not key.is_primary:
            found[key.table] |= set(key.attributes)

    assert found == EXPECTED


@pytest.mark.parametrize("key", KEYS, ids=str)
async def test_a_key_of_another_tenant_is_taken(world: World, database: Database, key: Key) -> None:
    """`add`, `add_many`, `upsert`, `update` and a flush say so, and the unit goes on."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        await assert_taken(unit, key, world)

        assert await unit.tenant_accounts.count() == 1
        assert await foreign_changes(world, unit) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("key", KEYS, ids=str)
async def test_a_key_is_taken_by_a_row_that_policies_hide(
    world: World, policed: Database, key: Key
) -> None:
    """Row-level security changes neither the error nor its text."""
    async with policed.begin(tenant=world.beta["tenant_accounts"].id) as unit:
        await assert_taken(unit, key, world)

        assert await unit.tenant_accounts.count() == 1


@pytest.mark.parametrize("key", [k for k in KEYS if k.table not in KEPT], ids=str)
async def test_a_key_of_the_own_tenant_is_taken_in_the_same_words(
    world: World, database: Database, key: Key
) -> None:
    """Who holds it does not show: `add` answers as it does for a row of another tenant."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for name in paths_of(unit, key).keys() - STORED:
            error = await answer(unit, PATHS[name], key.table, world.beta, held(key, world.beta))
            assert_duplicate(error, key, name)


@pytest.mark.parametrize("key", [k for k in KEYS if k.table not in KEPT], ids=str)
async def test_a_system_unit_finds_the_key_taken(
    world: World, database: Database, key: Key
) -> None:
    """A row for one tenant never becomes, or changes, that of another who holds the key."""
    async with unit_of(database, system="a test") as unit:
        await assert_taken(unit, key, world)

        assert await foreign_changes(world, unit) == []


@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_finds_the_key_taken(world: World, database: Database, name: str) -> None:
    """No verb returns another tenant's row for its key, nor fails in any other way."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        error = await answer(unit, verb, name, world.beta, world.alpha)

        assert type(error) is DuplicateError
        assert await unit.tenant_accounts.count() == 1
        assert await foreign_changes(world, unit) == []


@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_takes_a_key_that_is_free(world: World, database: Database, name: str) -> None:
    """With a key that nobody holds the same call succeeds: nothing else was in its way."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        assert await answer(unit, verb, name, world.beta, rows_of("nobody")) is None


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_finds_the_key_taken_by_a_row_that_policies_hide(
    world: World, database: Database, policed: Database, name: str
) -> None:
    """The same under row-level security, with the same words."""
    tenant = world.beta["tenant_accounts"].id
    async with policed.begin(tenant=tenant) as unit, unit_of(database, tenant=tenant) as plain:
        hidden = await answer(unit, verb, name, world.beta, world.alpha)
        seen = await answer(plain, verb, name, world.beta, world.alpha)

        assert type(hidden) is DuplicateError
        assert str(hidden) == str(seen)
        assert await unit.tenant_accounts.count() == 1


async def verb(unit: UnitOfWork, name: str, own: Rows, holder: Rows) -> None:
    """Call a verb in a unit of one tenant with a key of another."""
    await VERBS[name](unit, own, holder)


@pytest.mark.agentdb_only("postgres")
async def test_a_conflict_with_a_hidden_row_is_a_duplicate(world: World, policed: Database) -> None:
    """Where ``DO UPDATE`` meets a row that policies hide, the server speaks of a lack of rights.

    So it does of a row that names another tenant: that one is no duplicate.
    """
    columns = {c.key for c in inspect(Container).column_attrs}
    values = {k: v for k, v in values_of("containers", "new", world.beta).items() if k in columns}
    taken = {**values, "openai_id": world.alpha["containers"].openai_id}
    stray = {**values, "tenant_id": world.alpha["tenant_accounts"].id, "owner_user_id": None}
    table: Any = table_of(Container)
    tenant: UUID = world.beta["tenant_accounts"].id
    for row, expected in ((taken, DuplicateError), (stray, PermissionDeniedError)):
        async with policed.begin(tenant=tenant) as unit:
            statement = insert(table).values(**{"id": values["id"], **row})
            change = statement.on_conflict_do_update(
                index_elements=["openai_id"], set_={"name": statement.excluded.name}
            )
            with pytest.raises(expected):
                async with unit.savepoint():
                    await unit.execute(change)
            assert await unit.containers.count() == 1


@pytest.mark.agentdb_only("postgres")
async def test_a_table_without_a_grant_is_no_duplicate(policed: Database, world: World) -> None:
    """A right that the role lacks is told as one, also in an upsert."""
    async with policed.begin(tenant=world.beta["tenant_accounts"].id) as unit:
        statement = text(
            "INSERT INTO billing_plans (code) VALUES ('USING') ON CONFLICT (code) DO UPDATE"
            " SET name = 'x'"
        )
        with pytest.raises(PermissionDeniedError):
            async with unit.savepoint():
                await unit.execute(statement)


async def test_a_session_of_another_tenant_is_unknown(world: World, database: Database) -> None:
    """`open` goes on with a session by its id: one of somebody else is none, whoever that is."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        key = world.alpha["user_sessions"].id
        with pytest.raises(AgentDBError, match="no such row of user_sessions"):
            await unit.user_sessions.open(world.beta["users"].id, "new", id=key)

        assert await foreign_changes(world, unit) == []


async def test_a_primary_key_of_a_row_is_not_changed(world: World, database: Database) -> None:
    """`update` moves no row onto another's key."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for key in (k for k in KEYS if k.is_primary):
            repository = getattr(unit, key.table)
            if isinstance(repository, VerbWrittenRepository | AppendOnlyRepository):
                continue
            error = await answer(
                unit, PATHS["update"], key.table, world.beta, held(key, world.alpha)
            )
            assert type(error) is InvalidValueError
