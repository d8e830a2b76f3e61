"""Every table has a factory, whose rows are whole, valid, repeatable and of one tenant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, assert_type, cast
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Connection, Row, func, inspect, select

from agentdb import schemas
from agentdb.auth.models import User
from agentdb.conversations.models import AgentConversation
from agentdb.database import Database
from agentdb.errors import DuplicateError, InvalidValueError
from agentdb.orm import Base, TenancyClass
from agentdb.tenants.models import TenantAccount
from agentdb.testing import Factory, Maker
from agentdb.testing.factories.columns import EPOCH, is_drawn
from agentdb.testing.factories.makers import Of
from agentdb.testing.factories.references import attribute_of, references, table_of
from agentdb.types import Choice, CITEXTCompat, JSONCompat, NativeEnum
from tests.rows import MODELS, key_of

every_table = pytest.mark.parametrize("table", MODELS)

OWNED = {TenancyClass.DIRECT, TenancyClass.OPTIONAL, TenancyClass.PARENT, TenancyClass.IDENTITY}

ONCE = {
    "activity_event_receipts",
    "activity_last_seen",
    "tenant_settings",
    "tenant_user_memberships",
    "user_profiles",
}
"""Tables with one row for a tenant, a person, or both."""


def name_of(model: type[Base]) -> str:
    """Return a model's name in lower case and underscores."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()


def maker(factory: Factory, table: str) -> Maker[Any]:
    """Return the maker of a table."""
    found: Maker[Any] = getattr(factory, name_of(MODELS[table]))
    return found


def stored(connection: Connection, row: Base) -> Row[Any]:
    """Return a row as the database has it, past any session."""
    table = table_of(type(row))
    columns = [column for column in table.columns if column.computed is None]
    keys = [column == getattr(row, attribute_of(column)) for column in table.primary_key]
    return connection.execute(select(*columns).where(*keys)).one()


def content(row: Base) -> dict[str, Any]:
    """Return the columns of a row by attribute, but for keys that the database draws."""
    columns = [c for c in table_of(type(row)).columns if not is_drawn(c)]
    return {attribute_of(column): getattr(row, attribute_of(column)) for column in columns}


def another(column: Column[Any], table: str) -> Any:
    """Return a value for a column that no factory makes by itself."""
    if isinstance(column.type, Choice):
        return column.type.labels[-1]
    if isinstance(column.type, NativeEnum):
        return [*cast("Iterable[Any]", column.type.python_type)][-1]
    if isinstance(column.type, CITEXTCompat):
        return "another@example.org"
    if isinstance(column.type, JSONCompat):
        return {"another": True}
    return _ANOTHER[column.type.python_type] if column.name != "currency" else table[:3].upper()


_ANOTHER: Mapping[type[Any], Any] = {
    UUID: UUID(int=7),
    str: "another",
    bytes: b"another",
    int: 77,
    bool: False,
    type(EPOCH): EPOCH + timedelta(days=400, microseconds=7),
    date: date(2026, 4, 1),
}


def test_every_model_has_a_maker_under_its_name() -> None:
    """A 47th table without a factory fails here."""
    declared: dict[str, Of[Any]] = {n: of for n, of in vars(Factory).items() if isinstance(of, Of)}
    makers = {name: of.model for name, of in declared.items()}

    assert {name_of(model): model for model in MODELS.values()} == makers
    assert len(makers) == 46


def test_makers_are_typed(agentdb_make: Factory) -> None:
    """A type checker knows what a call returns."""
    assert_type(agentdb_make.user(), User)
    assert_type(agentdb_make.user.many(2), list[User])
    assert_type(agentdb_make.conversation(messages=1), AgentConversation)


@every_table
def test_a_row_needs_nothing_said(
    agentdb_make: Factory, agentdb_sync_connection: Connection, table: str
) -> None:
    """Its parents are made, and it is stored as it was returned."""
    row = maker(agentdb_make, table)()

    assert inspect(row).detached
    assert isinstance(row, MODELS[table])
    assert list(content(row).values()) == [
        value
        for column, value in zip(
            [c for c in table_of(type(row)).columns if c.computed is None],
            stored(agentdb_sync_connection, row),
            strict=True,
        )
        if not is_drawn(column)
    ]


@every_table
def test_a_row_is_valid(agentdb_make: Factory, table: str) -> None:
    """The schemas take it, Create with the rules for callers."""
    row = maker(agentdb_make, table)()
    read: type[BaseModel] = getattr(schemas, f"{MODELS[table].__name__}Read")
    create: type[BaseModel] = getattr(schemas, f"{MODELS[table].__name__}Create")
    given = {name: getattr(row, name) for name in create.model_fields}

    assert {*read.model_fields} == {*dict(read.model_validate(row))}
    assert given == create.model_validate(given).model_dump(exclude_unset=True)


@every_table
def test_two_rows_do_not_collide(agentdb_make: Factory, table: str) -> None:
    """However many are made, in one call or in several."""
    make = maker(agentdb_make, table)
    rows = [make(), *make.many(2), make()]

    assert len({key_of(row) for row in rows}) == 4


@every_table
def test_rows_of_the_same_parents_do_not_collide(agentdb_make: Factory, table: str) -> None:
    """But for those that their parents have once."""
    make = maker(agentdb_make, table)
    first = make()
    held = {name: getattr(first, name) for name in references(MODELS[table])}
    parents = {name: key for name, key in held.items() if key is not None}
    if table in ONCE:
        with pytest.raises(DuplicateError):
            make(**parents)
        return

    assert len({key_of(row) for row in [first, *make.many(2, **parents)]}) == 3


@every_table
async def test_a_row_is_of_the_tenant_that_is_asked_for(
    agentdb_make: Factory, agentdb_database: Database, table: str
) -> None:
    """The tenant reads it, and another one does not; rows of all and of nobody are as they are."""
    make, kind = maker(agentdb_make, table), MODELS[table].__tenancy__.kind
    other = agentdb_make.tenant_account()
    asked = {"tenant": other} if kind in OWNED and table != "tenant_accounts" else {}
    row = other if table == "tenant_accounts" else make(**asked)
    key = key_of(row)

    async with agentdb_database.read(tenant=other.id) as unit:
        own = await getattr(unit, table).get(key) if kind is not TenancyClass.SYSTEM else None
    async with agentdb_database.read(tenant=agentdb_make.tenant.id) as unit:
        foreign = await getattr(unit, table).get(key) if kind is not TenancyClass.SYSTEM else None

    assert (own is not None) == (kind is not TenancyClass.SYSTEM)
    assert (foreign is not None) == (kind is TenancyClass.SHARED)


@every_table
async def test_where_no_tenant_is_asked_for_it_is_that_of_the_fixtures(
    agentdb_make: Factory, agentdb_database: Database, agentdb_tenant: TenantAccount, table: str
) -> None:
    """Reservations alone belong to nobody before a sign-up is done."""
    key = key_of(maker(agentdb_make, table)())
    if table == "tenant_accounts":
        key = agentdb_tenant.id
    if MODELS[table].__tenancy__.kind is TenancyClass.SYSTEM:
        async with agentdb_database.read(reason="a table of the operator") as unit:
            assert await getattr(unit, table).get(key)
        return
    async with agentdb_database.read(tenant=agentdb_tenant.id) as unit:
        found = await getattr(unit, table).get(key)

    assert (found is None) == (table == "tenant_signup_invite_reservations")


@every_table
def test_every_column_can_be_said(
    agentdb_make: Factory, agentdb_sync_connection: Connection, table: str
) -> None:
    """What is said is stored as it is; what refers to other rows is tested below."""
    columns = [
        column
        for column in table_of(MODELS[table]).columns
        if column.computed is None and attribute_of(column) not in references(MODELS[table])
    ]
    said = {attribute_of(column): another(column, table) for column in columns}

    row = maker(agentdb_make, table)(**said)

    found = stored(agentdb_sync_connection, row)
    assert said == {attribute_of(c): getattr(found, c.name) for c in columns}


REFERENCES = [(table, name) for table, model in MODELS.items() for name in references(model)]


@pytest.mark.parametrize(("table", "attribute"), REFERENCES)
def test_every_reference_takes_the_row_or_its_key(
    agentdb_make: Factory, agentdb_sync_connection: Connection, table: str, attribute: str
) -> None:
    """Under the name of the column, with or without ``_id``."""
    column, target = references(MODELS[table])[attribute]
    # A person who is made for a tenant is a member already.
    is_member = (table, attribute) == ("tenant_user_memberships", "user_id")
    make = maker(agentdb_make, table)
    parents = maker(agentdb_make, target.table).many(2, **{"tenant": None} if is_member else {})
    rows = [
        make(**{attribute.removesuffix("_id"): parents[0]}),
        make(**{attribute: getattr(parents[1], target.attribute)}),
    ]

    held = [getattr(stored(agentdb_sync_connection, row), column.name) for row in rows]

    assert [str(getattr(p, target.attribute)) for p in parents] == [str(h) for h in held]


@every_table
def test_the_same_calls_make_the_same_rows(agentdb_sync_connection: Connection, table: str) -> None:
    """Ids and stamps included, whenever that is; the database draws numbers alone."""
    made: list[list[dict[str, Any]]] = []
    for _ in range(2):
        with agentdb_sync_connection.begin_nested() as nested:
            factory = Factory(agentdb_sync_connection, seed=5)
            made.append([content(row) for row in maker(factory, table).many(2)])
            nested.rollback()

    assert made[0] == made[1]


@every_table
def test_factories_with_different_seeds_do_not_collide(
    agentdb_sync_connection: Connection, table: str
) -> None:
    """So that a database can be filled in several goes; the largest seeds fit too."""
    for seed in (0, 1, 2**32 - 1):
        maker(Factory(agentdb_sync_connection, seed=seed), table).many(2)

    count = select(func.count()).select_from(table_of(MODELS[table]))
    assert agentdb_sync_connection.execute(count).scalar_one() >= 6


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_32_bits(agentdb_sync_connection: Connection, seed: int) -> None:
    """It stands in every text, which must fit its column."""
    with pytest.raises(ValueError, match="4294967295"):
        Factory(agentdb_sync_connection, seed=seed)


def test_stamps_follow_the_calls(agentdb_make: Factory) -> None:
    """Parents are older than their children, and rows are as old as their order says."""
    messages = agentdb_make.agent_message.many(3)
    conversation = agentdb_make.agent_conversation()
    message = agentdb_make.agent_message(conversation=conversation)
    stamps = [m.created_at for m in messages]

    assert sorted(set(stamps)) == stamps
    assert stamps[-1] < conversation.created_at < message.created_at
    assert message.created_at.utcoffset() == timedelta(0)


def test_an_unknown_name_is_refused(agentdb_make: Factory) -> None:
    """As a keyword that a function does not have, with the name that was meant."""
    with pytest.raises(TypeError, match="User has no emial; is it email"):
        agentdb_make.user(emial="a@example.com")
    with pytest.raises(TypeError, match="AgentMessage has no text_tsv"):
        agentdb_make.agent_message(text_tsv="drawn by PostgreSQL")
    with pytest.raises(TypeError, match="user_id is given twice"):
        agentdb_make.user_profile(user=agentdb_make.user(), user_id=UUID(int=1))


def test_a_refused_row_leaves_nothing_behind(
    agentdb_make: Factory, agentdb_sync_connection: Connection
) -> None:
    """Neither its parents nor the tenant that it would have been the first to need."""
    with pytest.raises(InvalidValueError):
        agentdb_make.agent_message(role="nobody")
    assert agentdb_sync_connection.execute(select(table_of(TenantAccount))).all() == []

    assert agentdb_make.agent_message().position == 0
