"""Rows that a key, a reference or a rule of the schema forbids."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from agentdb import UnitOfWork
from agentdb.errors import (
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    ReferencedError,
)
from tests.driver_errors.keys import APART, FITTING, KEYS, PARENTS, ancestors
from tests.driver_errors.refusals import CANARY, refused, shown, stored
from tests.rows import (
    MODELS,
    attribute_of,
    row_of,
    rows_of,
    table_of,
    values_of,
)


@pytest.mark.parametrize(("table", "key", "columns"), KEYS, ids=[key for _, key, _ in KEYS])
async def test_every_unique_key_names_itself_when_it_is_taken(
    system: UnitOfWork, table: str, key: str, columns: list[str]
) -> None:
    """The constraint or index has the same name on both databases, and no value is shown."""
    fitting = FITTING.get(key, {})
    first, other = rows_of("first"), rows_of(CANARY)
    taken = row_of(table, "taken", first, **fitting)
    parents = ancestors(table)
    await stored(system, *(first[name] for name in MODELS if name in parents), taken)
    await stored(system, *(other[name] for name in MODELS if name in parents))
    attributes = [attribute_of(table_of(MODELS[table]).c[column]) for column in columns]
    same = {name: getattr(taken, name) for name in attributes}
    values = {**values_of(table, f"{CANARY} row", other), **fitting, **same, **APART.get(key, {})}
    error = await refused(system, insert(MODELS[table]).values(**values))

    assert isinstance(error, DuplicateError)
    assert key == error.constraint
    assert f"{key} is taken" == str(error)
    assert await getattr(system, table).exists(include_deleted=True)


@pytest.mark.parametrize(("table", "column"), PARENTS)
async def test_every_missing_parent_is_not_found(
    system: UnitOfWork, table: str, column: str
) -> None:
    """A foreign key that leads nowhere is a NotFoundError on both databases."""
    rows = rows_of(CANARY)
    parents = ancestors(table)
    await stored(system, *(rows[name] for name in MODELS if name in parents))
    found = table_of(MODELS[table]).c[column]
    key: Any = uuid4() if found.type.python_type is UUID else "nowhere"
    key = 999_999 if found.type.python_type is int else key
    values = {**values_of(table, CANARY, rows), attribute_of(found): key}
    error = await refused(system, insert(MODELS[table]).values(**values))

    assert isinstance(error, NotFoundError)
    assert not await getattr(system, table).exists()


async def test_every_required_column_names_itself_when_it_is_empty(system: UnitOfWork) -> None:
    """NOT NULL is an InvalidValueError with table and column, the same on both databases."""
    rows = rows_of(CANARY)
    await stored(system, *rows.values())
    tried = 0
    for name, model in MODELS.items():
        for column in table_of(model).columns:
            if column.nullable or column.computed is not None or _is_drawn(column):
                continue
            values = {**values_of(name, f"{CANARY} 2", rows), attribute_of(column): None}
            error = await refused(system, insert(model).values(**values))
            assert isinstance(error, InvalidValueError), column
            assert (name, column.name) == (error.table, error.column)
            tried += 1

    assert tried > 250


def _is_drawn(column: Any) -> bool:
    return bool(column.primary_key and column.type.python_type is int)


async def test_a_plan_that_is_subscribed_to_is_referenced(system: UnitOfWork) -> None:
    """ON DELETE RESTRICT is a ReferencedError, and the rest of the unit is committed."""
    rows = rows_of(CANARY)
    await stored(system, *rows.values())
    with pytest.raises(ReferencedError) as caught:
        await system.billing_plans.delete(rows["billing_plans"].id)

    assert CANARY not in shown(caught.value)
    assert await system.tenant_subscriptions.exists()


async def test_the_object_of_a_spilled_frame_is_referenced(system: UnitOfWork) -> None:
    """A CHECK that ON DELETE SET NULL would break is a ReferencedError with its name."""
    rows = rows_of(CANARY)
    await stored(system, *rows.values())
    spilled = update(MODELS["conversation_ledger_events"]).values(
        payload_json=None, payload_object_id=rows["storage_objects"].id
    )
    await system.session.execute(spilled)
    with pytest.raises(ReferencedError) as caught:
        await system.storage_objects.delete(rows["storage_objects"].id)

    assert caught.value.constraint == "ck_conversation_ledger_events_payload_present"
    assert CANARY not in shown(caught.value)


async def test_a_row_that_a_check_forbids_is_an_invalid_value(system: UnitOfWork) -> None:
    """The error names the constraint."""
    rows = rows_of(CANARY)
    await stored(system, *rows.values())
    empty = update(MODELS["conversation_ledger_events"]).values(
        payload_json=None, payload_object_id=None
    )
    error = await refused(system, empty)

    assert isinstance(error, InvalidValueError)
    assert str(error) == "ck_conversation_ledger_events_payload_present forbids the row"
