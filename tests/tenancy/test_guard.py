"""What a unit of work may write: rows of its tenant, which refer to rows of that tenant alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import inspect, update
from sqlalchemy.orm import RelationshipDirection, make_transient_to_detached

from agentdb.auth.values import PlatformRole
from agentdb.database import Database
from agentdb.errors import (
    AgentDBError,
    AppendOnlyError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
    TenantRequiredError,
)
from agentdb.models import User
from agentdb.orm import TenancyClass
from agentdb.testing import capture_statements
from agentdb.unit_of_work import UnitOfWork
from tests.rows import MODELS, attribute_of, key_of, row_of, rows_of, table_of, values_of
from tests.tenancy.worlds import World, beside, foreign_changes, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWNED = {TenancyClass.DIRECT, TenancyClass.OPTIONAL}
OF_SYSTEM = {TenancyClass.SHARED, TenancyClass.SYSTEM}


def tables_of(*kinds: TenancyClass) -> list[str]:
    """Return the tables of some classes."""
    return [name for name, model in MODELS.items() if model.__tenancy__.kind in kinds]


def references() -> Iterator[tuple[str, str]]:
    """Yield the table and the attribute of every reference to a row that belongs to a tenant."""
    for name, model in MODELS.items():
        tenancy = model.__tenancy__
        if tenancy.kind in OF_SYSTEM or name in {"tenant_accounts", "users"}:
            continue
        for column in table_of(model).columns:
            targets = {key.column.table.name for key in column.foreign_keys}
            if column.name == tenancy.column:
                targets = {tenancy.parent} if tenancy.parent else targets - {"tenant_accounts"}
            belonging = {n for n in targets if n and MODELS[n].__tenancy__.column is not None}
            # A membership is what makes its user one of the tenant's.
            if belonging - {"tenant_accounts"} and name != "tenant_user_memberships":
                yield name, attribute_of(column)


REFERENCES = list(references())
RELATIONSHIPS = [
    (name, relationship.key)
    for name, model in MODELS.items()
    for relationship in inspect(model).relationships
    if relationship.direction is RelationshipDirection.MANYTOONE
    and relationship.mapper.class_.__tenancy__.kind not in OF_SYSTEM
]
PEOPLE = {"user_id", "owner_user_id", "created_by_user_id"}
TIES = [
    (table, attribute)
    for table, attribute in REFERENCES
    if attribute not in PEOPLE | {MODELS[table].__tenancy__.column}
]
"""The references that hold two rows of one tenant together."""
REFUSALS = (NotFoundError, PermissionDeniedError, AppendOnlyError, InvalidValueError)


def new_row(world: World, table: str, **values: Any) -> Any:
    """Return a new row of beta, not stored."""
    return row_of(table, "new", world.beta, **values)


async def added(unit: UnitOfWork, *rows: Any) -> None:
    """Write new rows, in a savepoint."""
    async with unit.session.begin_nested():
        unit.session.add_all(rows)
        await unit.session.flush()


async def changed(unit: UnitOfWork, row: Any, **values: Any) -> None:
    """Change a row and write it, in a savepoint."""
    async with unit.session.begin_nested():
        for name, value in values.items():
            setattr(row, name, value)
        await unit.session.flush()


async def deleted(unit: UnitOfWork, row: Any) -> None:
    """Delete a row and write that, in a savepoint."""
    async with unit.session.begin_nested():
        await unit.session.delete(row)
        await unit.session.flush()


async def refused(
    database: Database, world: World, error: type[AgentDBError], *rows: Any
) -> AgentDBError:
    """Assert that a unit of beta cannot flush *rows* and that it goes on; return the error."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        with pytest.raises(error) as caught:
            await added(unit, *rows)

        assert await unit.tenant_accounts.count() == 1
        assert await foreign_changes(world, unit) == []
    return caught.value


@pytest.mark.parametrize("table", tables_of(*OWNED))
async def test_a_row_of_another_tenant_is_refused(
    world: World, database: Database, table: str
) -> None:
    """A new row names the tenant of its unit, whatever else it says."""
    row = row_of(table, "new", {**world.beta, "tenant_accounts": world.alpha["tenant_accounts"]})
    expected = PermissionDeniedError if table == "tenant_accounts" else TenantMismatchError

    await refused(database, world, expected, row)


@pytest.mark.parametrize("table", tables_of(TenancyClass.OPTIONAL))
async def test_a_row_without_a_tenant_is_refused(
    world: World, database: Database, table: str
) -> None:
    """Rows of nobody are the operator's, also where they are about a member."""
    await refused(database, world, TenantMismatchError, new_row(world, table, tenant_id=None))


@pytest.mark.parametrize("table", [*tables_of(*OF_SYSTEM), "users", "tenant_accounts"])
async def test_what_belongs_to_the_operator_is_made_by_the_operator(
    world: World, database: Database, table: str
) -> None:
    """Catalogue, requests, invites, webhooks, users and tenants are made by system units alone."""
    await refused(database, world, PermissionDeniedError, new_row(world, table))


@pytest.mark.parametrize(("table", "attribute"), REFERENCES)
async def test_a_reference_to_another_tenant_leads_nowhere(
    world: World, database: Database, table: str, attribute: str
) -> None:
    """A foreign parent is refused exactly as one that does not exist, whatever it is."""
    keys = [getattr(rows[table], attribute) for rows in (world.alpha, rows_of("nobody"))]
    errors = [
        await refused(database, world, NotFoundError, new_row(world, table, **{attribute: key}))
        for key in keys
    ]

    assert str(errors[0]) == str(errors[1])


@pytest.mark.parametrize(("table", "attribute"), REFERENCES)
async def test_a_stored_row_is_not_led_to_another_tenant(
    world: World, database: Database, table: str, attribute: str
) -> None:
    """Nor can a reference be changed later: not on the entity, not by a statement."""
    foreign = getattr(world.alpha[table], attribute)
    model: Any = MODELS[table]
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        row: Any = await unit.session.get_one(model, key_of(world.beta[table]))
        with pytest.raises((NotFoundError, TenantMismatchError)):
            await changed(unit, row, **{attribute: foreign})
        with pytest.raises((PermissionDeniedError, TenantMismatchError)):
            await unit.session.execute(update(model).values({attribute: foreign}))

        assert await foreign_changes(world, unit) == []


def stranger(unit: UnitOfWork, table: str, name: str) -> Any:
    """Attach a foreign row that a relationship could lead to, as if it came from a cache."""
    parent = inspect(MODELS[table]).relationships[name].mapper.class_.__tablename__
    row = row_of(parent, "alpha", rows_of("alpha"))
    make_transient_to_detached(row)
    unit.session.add(row)
    return row


@pytest.mark.parametrize(("table", "name"), RELATIONSHIPS)
async def test_a_relationship_of_a_new_row_leads_to_no_other_tenant(
    world: World, database: Database, table: str, name: str
) -> None:
    """A parent that is set as an object is checked as its key is."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        row = new_row(world, table)
        unit.session.add(row)
        setattr(row, name, stranger(unit, table, name))
        with pytest.raises(NotFoundError):
            await unit.session.flush()


@pytest.mark.parametrize(("table", "name"), RELATIONSHIPS)
async def test_a_relationship_of_a_stored_row_leads_to_no_other_tenant(
    world: World, database: Database, table: str, name: str
) -> None:
    """Setting another parent changes the key at the flush, which is checked before."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        row: Any = await unit.session.get_one(MODELS[table], key_of(world.beta[table]))
        with pytest.raises((NotFoundError, TenantMismatchError)):
            await changed(unit, row, **{name: stranger(unit, table, name)})

        assert await foreign_changes(world, unit) == []


@pytest.mark.parametrize("table", tables_of(*OWNED, TenancyClass.PARENT, TenancyClass.IDENTITY))
async def test_a_stored_row_stays_with_its_owner(
    world: World, database: Database, table: str
) -> None:
    """The owner is not changed, also not to the owner that the row has: it may be in disguise."""
    column = MODELS[table].__tenancy__.column
    assert column is not None
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        row: Any = await unit.session.get_one(MODELS[table], key_of(world.beta[table]))
        with pytest.raises(TenantMismatchError):
            await changed(unit, row, **{column: getattr(world.alpha[table], column)})

        assert await foreign_changes(world, unit) == []


async def test_a_text_that_is_no_tenant_is_refused(world: World, database: Database) -> None:
    """Workflow runs name their tenant by text: only the canonical text of its id will do."""
    own = world.beta["tenant_accounts"].id
    for text in (own.hex, str(own).upper(), "beta", ""):
        run = new_row(world, "workflow_runs", tenant_id=text)
        await refused(database, world, TenantMismatchError, run)

    async with unit_of(database, system="a test") as unit:
        unit.session.add(new_row(world, "workflow_runs", tenant_id="beta"))
        with pytest.raises(InvalidValueError):
            await unit.session.flush()


async def test_preferences_that_hold_everywhere_are_read_but_not_written(
    world: World, database: Database
) -> None:
    """A tenant sees what its members prefer in general, and cannot change it."""
    general = new_row(world, "user_notification_preferences", tenant_id=None)
    async with unit_of(database, system="store a general preference") as unit:
        await unit.user_notification_preferences.add(general)
        async with beside(unit, tenant=world.beta["tenant_accounts"].id) as tenant:
            found: Any = await tenant.user_notification_preferences.require(general.id)
            with pytest.raises(TenantMismatchError):
                await changed(tenant, found, enabled=False)
            with pytest.raises(NotFoundError):
                await tenant.user_notification_preferences.update(general.id, enabled=False)

            assert not await tenant.user_notification_preferences.delete(general.id)


async def test_a_tenant_gives_no_platform_role(world: World, database: Database) -> None:
    """What a user may do beyond the tenant is the operator's to give, on every path."""
    key = world.beta["users"].id
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        user = await unit.users.require(key)
        assert user.platform_role == PlatformRole.PLATFORM_OPERATOR
        with pytest.raises(PermissionDeniedError):
            await changed(unit, user, platform_role=None)
        with pytest.raises(PermissionDeniedError):
            await unit.users.update(key, platform_role=None)
        with pytest.raises(PermissionDeniedError):
            await unit.session.execute(update(User).values(platform_role=None))


async def test_a_tenant_deletes_no_user(world: World, database: Database) -> None:
    """A member of two tenants would lose the place in the other one too."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for name in ("users", "tenant_accounts"):
            row: Any = await unit.session.get_one(MODELS[name], key_of(world.beta[name]))
            with pytest.raises(PermissionDeniedError):
                await deleted(unit, row)

        assert await foreign_changes(world, unit) == []


async def test_a_membership_moves_to_nobody_else(world: World, database: Database) -> None:
    """A tenant brings nobody in, neither by a new membership nor by giving an old one away."""
    stranger = world.alpha["users"].id
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        membership = await unit.tenant_user_memberships.require(
            world.beta["tenant_user_memberships"].id
        )
        with pytest.raises(TenantMismatchError):
            await changed(unit, membership, user_id=stranger)
        with pytest.raises(NotFoundError):
            await unit.tenant_user_memberships.add(
                new_row(world, "tenant_user_memberships", user_id=stranger)
            )

        assert await unit.users.get(stranger) is None


async def test_rows_of_one_flush_may_refer_to_each_other(world: World, database: Database) -> None:
    """Parents that are stored together with their children need not be there before."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        tenant = world.beta["tenant_accounts"].id
        run = new_row(world, "workflow_runs")
        step = new_row(world, "workflow_run_steps", workflow_run_id=run.id)
        with capture_statements(unit) as sent:
            unit.session.add_all([run, step])
            await unit.session.flush()

        assert [statement for statement in sent if "FROM workflow_runs" in statement] == []
        assert str(tenant) == run.tenant_id


async def test_a_flush_looks_once_into_each_table(world: World, database: Database) -> None:
    """However many rows it writes, the references to one table cost one SELECT."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        rows = [row_of("conversation_summaries", f"new {n}", world.beta) for n in range(50)]
        with capture_statements(unit) as sent:
            unit.session.add_all(rows)
            await unit.session.flush()

        assert len([statement for statement in sent if statement.startswith("SELECT")]) == 1


@pytest.mark.parametrize(("table", "attribute"), TIES)
async def test_the_references_of_a_system_unit_stay_in_the_tenant_of_the_row(
    world: World, database: Database, table: str, attribute: str
) -> None:
    """A system unit may write for any tenant, and never ties two of them together."""
    foreign = getattr(world.alpha[table], attribute)
    async with unit_of(database, system="a test") as unit:
        unit.session.add(new_row(world, table, **{attribute: foreign}))
        with pytest.raises(NotFoundError):
            await unit.session.flush()


@pytest.mark.parametrize(("table", "attribute"), TIES)
async def test_a_system_unit_leads_no_stored_row_to_another_tenant(
    world: World, database: Database, table: str, attribute: str
) -> None:
    """Neither on the entity nor by the verb `update`."""
    foreign, key = getattr(world.alpha[table], attribute), key_of(world.beta[table])
    async with unit_of(database, system="a test") as unit:
        row: Any = await unit.session.get_one(MODELS[table], key)
        with pytest.raises(NotFoundError):
            await changed(unit, row, **{attribute: foreign})
        with pytest.raises(REFUSALS):
            await getattr(unit, table).update(key, **{attribute: foreign})


async def test_a_system_unit_writes_history_of_people_who_have_left(
    world: World, database: Database
) -> None:
    """A person is no longer a member, and still the one who did what is recorded."""
    event = new_row(world, "security_events", user_id=world.alpha["users"].id)
    async with unit_of(database, system="a test") as unit:
        await unit.security_events.add(event)

        assert world.beta["tenant_accounts"].id == event.tenant_id


async def test_a_key_that_another_tenant_holds_is_taken(world: World, database: Database) -> None:
    """Where a key is unique across tenants, neither `add` nor `upsert` touches who holds it."""
    held = {"openai_id": world.alpha["containers"].openai_id}
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        with pytest.raises(DuplicateError):
            await unit.containers.add(new_row(world, "containers", **held))
        for update_only in (None, ()):
            values = {**values_of("containers", "new", world.beta), **held}
            with pytest.raises(DuplicateError):
                await unit.containers.upsert(values, ["openai_id"], update=update_only)

        assert await foreign_changes(world, unit) == []


async def test_an_upsert_of_a_system_unit_moves_no_row_to_another_tenant(
    world: World, database: Database
) -> None:
    """The key is taken, whoever asks: the row stays as it is, and with its owner."""
    values = values_of("containers", "new", world.beta)
    values["openai_id"] = world.alpha["containers"].openai_id
    async with unit_of(database, system="a test") as unit:
        with pytest.raises(DuplicateError):
            await unit.containers.upsert(values, ["openai_id"])
        with pytest.raises(DuplicateError):
            await unit.containers.upsert(values, ["openai_id"], update=())

        assert await foreign_changes(world, unit) == []


async def test_a_unit_without_a_tenant_writes_nothing(world: World, database: Database) -> None:
    """Neither tenant nor reason: every table is closed to a flush, and nothing is sent."""
    async with unit_of(database) as unit:
        for table in MODELS:
            unit.session.add(new_row(world, table))
            with capture_statements(unit) as sent, pytest.raises(TenantRequiredError):
                await unit.session.flush()
            unit.session.expunge_all()

            assert sent == []
