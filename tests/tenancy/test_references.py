"""No row of a tenant comes to refer to another tenant's, whatever writes it.

Who tries learns nothing either: a row of another tenant is as unknown as one that never was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import inspect, update
from sqlalchemy.orm import RelationshipDirection, make_transient_to_detached

from agentdb.database import Database
from agentdb.errors import (
    AppendOnlyError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    TenantMismatchError,
)
from agentdb.orm import Base, TenancyClass
from agentdb.repository import AppendOnlyRepository
from agentdb.repository.writes import VerbWrittenRepository
from agentdb.testing import capture_statements
from agentdb.unit_of_work import UnitOfWork
from tests.rows import INSTANT, MODELS, Rows, row_of, table_of
from tests.tenancy.paths import PATHS, answer, nobody, referring
from tests.tenancy.references import REFERENCES, TIES, Kind, Reference
from tests.tenancy.worlds import World, foreign_changes, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANGES = {"flush_stored", "update"}
STAYING = {TenancyClass.DIRECT, TenancyClass.PARENT}
RELATIONSHIPS = [
    (table, relationship.key)
    for table in dict.fromkeys(reference.table for reference in REFERENCES)
    for relationship in inspect(MODELS[table]).relationships
    if relationship.direction is RelationshipDirection.MANYTOONE
    and relationship.mapper.class_.__tenancy__.column is not None
]
FREE: dict[str, dict[str, Any]] = {
    "conversation_ledger_segments": {"segment_index": 7, "truncated_at": INSTANT}
}
"""What a second row of a table holds where the first would be in its way."""
NULLABLE = [
    r
    for r in REFERENCES
    if table_of(MODELS[r.table]).columns[r.attribute].nullable and r.kind is not Kind.OPERATOR
]


def refusal(unit: UnitOfWork, reference: Reference, path: str) -> type[Exception]:
    """Return the error of a path; some tables and columns are closed to it in any case."""
    repository = getattr(unit, reference.table)
    is_key = reference.attribute in {c.key for c in table_of(MODELS[reference.table]).primary_key}
    if path in {"add", "add_many", "upsert", "update"} and isinstance(
        repository, VerbWrittenRepository
    ):
        return PermissionDeniedError
    if path in {"update", "upsert"} and isinstance(repository, AppendOnlyRepository):
        return AppendOnlyError
    if path == "update" and is_key:
        return InvalidValueError
    return TenantMismatchError if path in CHANGES and reference.is_owner else NotFoundError


def keys(world: World, reference: Reference) -> tuple[Any, Any]:
    """Return what a column would hold for a row of the other tenant, and for one that is none."""
    foreign, unknown = (
        referring(reference.table, reference.attribute, rows) for rows in (world.alpha, nobody())
    )
    return foreign, unknown


async def assert_unknown(world: World, unit: UnitOfWork, reference: Reference, path: str) -> None:
    """Assert that a path refuses the other tenant's row as it refuses one that is none."""
    errors = [
        await answer(unit, PATHS[path], reference.table, world.beta, {reference.attribute: key})
        for key in keys(world, reference)
    ]

    assert [type(error) for error in errors] == [refusal(unit, reference, path)] * 2, path
    assert str(errors[0]) == str(errors[1]), path


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
async def test_a_tenant_names_no_row_of_another(
    world: World, database: Database, reference: Reference
) -> None:
    """A flush, `add`, `add_many`, `upsert` and `update`: one answer, nothing written."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for path in PATHS:
            await assert_unknown(world, unit, reference, path)

        assert await unit.tenant_accounts.count() == 1
        assert await foreign_changes(world, unit) == []


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("reference", REFERENCES, ids=str)
async def test_a_tenant_names_no_row_that_policies_hide(
    world: World, policed: Database, reference: Reference
) -> None:
    """Foreign keys look past row-level security: what refuses is the same as without it."""
    async with policed.begin(tenant=world.beta["tenant_accounts"].id) as unit:
        for path in PATHS:
            await assert_unknown(world, unit, reference, path)

        assert await unit.tenant_accounts.count() == 1


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
async def test_a_tenant_names_its_own_rows(
    world: World, database: Database, reference: Reference
) -> None:
    """A row that refers to the tenant's own is written, or meets a unique key; it is not refused.

    A tenant makes no reservations: they name invites, which are the operator's.
    """
    own = referring(reference.table, reference.attribute, world.beta)
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        values = (reference.table, world.beta, {reference.attribute: own})
        error = await answer(unit, PATHS["flush_new"], *values)

        hidden = reference.table == "tenant_signup_invite_reservations"
        assert type(error) in ({NotFoundError} if hidden else {type(None), DuplicateError})


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
async def test_an_update_sets_no_reference(
    world: World, database: Database, reference: Reference
) -> None:
    """A statement is told before it is sent that references are changed through a repository."""
    model: Any = MODELS[reference.table]
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        for key in keys(world, reference):
            change = update(model).values({reference.attribute: key})
            refused = pytest.raises((PermissionDeniedError, TenantMismatchError))
            with capture_statements(unit) as sent, refused:
                await unit.session.execute(change)
            assert sent == []


@pytest.mark.parametrize("reference", NULLABLE, ids=str)
async def test_a_reference_that_was_empty_is_checked(
    world: World, database: Database, reference: Reference
) -> None:
    """NULL became no key of another tenant: the column is looked at when it is filled."""
    model: Any = MODELS[reference.table]
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        column = getattr(model, reference.attribute)
        mine = model.id == world.beta[reference.table].id
        emptied = update(table_of(model)).where(mine).values({column.key: None})
        connection = await unit.session.connection()
        await connection.execute(emptied)
        for path in sorted(CHANGES):
            await assert_unknown(world, unit, reference, path)


@pytest.mark.parametrize("reference", [r for r in TIES if not r.is_owner], ids=str)
async def test_a_system_unit_ties_no_two_tenants_together(
    world: World, database: Database, reference: Reference
) -> None:
    """A row that names its tenant refers to rows of that tenant, in a system unit too."""
    async with unit_of(database, system="a test") as unit:
        for path in PATHS:
            await assert_unknown(world, unit, reference, path)

        assert await foreign_changes(world, unit) == []


def copy_of(row: Base) -> Any:
    """Return another entity with the columns of a row, its key included."""
    mapper = inspect(type(row))
    copy: Any = mapper.class_manager.new_instance()
    for column in mapper.column_attrs:
        if column.columns[0].computed is None:
            setattr(copy, column.key, getattr(row, column.key))
    return copy


def _owned() -> Iterator[tuple[str, str]]:
    for name, model in MODELS.items():
        column = model.__tenancy__.column
        if model.__tenancy__.kind in STAYING and column not in {None, "id"}:
            yield name, str(column)


@pytest.mark.parametrize(("table", "column"), list(_owned()))
async def test_a_system_unit_takes_no_row_to_another_tenant(
    world: World, database: Database, table: str, column: str
) -> None:
    """What refers to the row, and what it refers to, would stay behind."""
    foreign = getattr(world.alpha[table], column)
    async with unit_of(database, system="a test") as unit:
        values = (table, world.beta, {column: foreign})
        assert type(await answer(unit, PATHS["flush_stored"], *values)) is TenantMismatchError
        closed = refusal(unit, Reference(table, column, Kind.OWNER), "update")
        assert type(await answer(unit, PATHS["update"], *values)) is (
            TenantMismatchError if closed is NotFoundError else closed
        )
        assert await foreign_changes(world, unit) == []


@pytest.mark.parametrize("reference", [r for r in TIES if not r.is_owner], ids=str)
async def test_a_parent_that_is_gone_leads_nowhere(
    world: World, database: Database, reference: Reference
) -> None:
    """A row that the unit has deleted is as unknown as one that never was."""
    target = next(
        iter(table_of(MODELS[reference.table]).columns[reference.attribute].foreign_keys)
    ).column
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        free = FREE.get(target.table.name, {})
        parent = row_of(target.table.name, "gone", world.beta, **free)
        unit.session.add(parent)
        await unit.session.flush()
        key = getattr(parent, target.key)
        await unit.session.delete(parent)
        await unit.session.flush()
        errors = [
            await answer(
                unit, PATHS["flush_new"], reference.table, world.beta, {reference.attribute: k}
            )
            for k in (key, keys(world, reference)[1])
        ]

        assert {type(error) for error in errors} == {NotFoundError}
        assert str(errors[0]) == str(errors[1])


@pytest.mark.parametrize("table", [n for n, m in MODELS.items() if m.__tenancy__.column])
async def test_merging_a_row_of_another_tenant_reaches_nothing(
    world: World, database: Database, table: str
) -> None:
    """A detached entity of another tenant is merged as one that was never stored."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        answers = [await answer(unit, _merge, table, rows) for rows in (world.alpha, nobody())]

        assert None not in answers
        assert type(answers[0]) is type(answers[1])
        assert str(answers[0]) == str(answers[1])
        assert await foreign_changes(world, unit) == []


async def _merge(unit: UnitOfWork, table: str, rows: Rows) -> None:
    await unit.session.merge(copy_of(rows[table]))
    await unit.session.flush()


@pytest.mark.parametrize(("table", "name"), RELATIONSHIPS)
async def test_a_parent_of_another_tenant_is_as_unknown_as_none(
    world: World, database: Database, table: str, name: str
) -> None:
    """A parent that is set as an object, of another tenant or of nobody: one answer."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        answers = [
            await answer(unit, _adopt, table, name, world.beta, rows)
            for rows in (world.alpha, nobody())
        ]

        assert {type(error) for error in answers} == {NotFoundError}
        assert str(answers[0]) == str(answers[1])
        assert await foreign_changes(world, unit) == []


async def _adopt(unit: UnitOfWork, table: str, name: str, own: Rows, parents: Rows) -> None:
    row = row_of(table, "new", own)
    unit.session.add(row)
    target = inspect(MODELS[table]).relationships[name].mapper.class_.__tablename__
    parent = copy_of(parents[target])
    make_transient_to_detached(parent)
    unit.session.add(parent)
    setattr(row, name, parent)
    await unit.session.flush()


@pytest.mark.parametrize("reference", [r for r in TIES if not r.is_owner], ids=str)
async def test_an_entity_from_elsewhere_carries_no_reference_away(
    world: World, database: Database, reference: Reference
) -> None:
    """A detached entity of the own tenant, attached and changed, is checked as a loaded one."""
    async with unit_of(database, tenant=world.beta["tenant_accounts"].id) as unit:
        answers = [
            await answer(unit, _attach, reference, world.beta, key)
            for key in keys(world, reference)
        ]

        assert {type(error) for error in answers} == {NotFoundError}
        assert str(answers[0]) == str(answers[1])


async def _attach(unit: UnitOfWork, reference: Reference, own: Rows, key: Any) -> None:
    row = copy_of(own[reference.table])
    make_transient_to_detached(row)
    unit.session.add(row)
    setattr(row, reference.attribute, key)
    await unit.session.flush()
