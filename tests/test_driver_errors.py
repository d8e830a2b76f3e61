from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table, UniqueConstraint, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from agentdb import Database, UnitOfWork, configure
from agentdb.driver_errors import may_pass, orm_errors
from agentdb.errors import (
    AgentDBError,
    CorruptDatabaseError,
    DeadlineError,
    DuplicateError,
    InvalidValueError,
    NaiveDatetimeError,
    NotFoundError,
    PermissionDeniedError,
    ReferencedError,
    SchemaVersionError,
    StaleVersionError,
    TransientError,
    UnavailableError,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from agentdb.models import BillingPlan
from agentdb.orm import Base
from agentdb.settings import Settings
from agentdb.urls import async_url
from tests.rows import (
    INSTANT,
    MODELS,
    attribute_of,
    parent_of,
    row_of,
    rows_of,
    store,
    table_of,
    values_of,
)

CANARY = "hunter2"
"""Stands in every text of a row that is refused; no error may show it."""

FITTING: dict[str, dict[str, Any]] = {
    "uq_service_account_tokens_active_global": {"tenant_id": None, "account": "ci"},
    "uq_service_account_tokens_active_service_accounts": {"account": "ci"},
    "uq_user_notification_preferences_null_tenant": {"tenant_id": None},
    "uq_usage_counters_tenant_period_null_user": {"user_id": None},
    "uq_containers_tenant_id_name_deleted_at": {"deleted_at": INSTANT},
    "uq_conversation_ledger_segments_conversation_id_segment_index": {"truncated_at": INSTANT},
    "uq_conversation_run_queue_items_head": {"status": "ready"},
}
"""What a row holds to be in a partial index, or in one that another would hide."""

APART = {"uq_conversation_ledger_segments_active": {"segment_index": 2}}
"""What the second row holds to meet no other key."""

HIDDEN = {"ix_user_sessions_refresh_jti", "pk_agent_containers", "pk_agent_vector_stores"}
"""Keys whose duplicates always meet a narrower one too, which may be the one that is named."""


def unique_keys(table: Table) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the columns of each unique constraint and index."""
    yield str(table.primary_key.name), [c.name for c in table.primary_key.columns]
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield str(constraint.name), [c.name for c in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield str(index.name), [c.name for c in index.columns]


KEYS = [
    (name, key, columns)
    for name, model in MODELS.items()
    for key, columns in sorted(unique_keys(table_of(model)))
    if key not in HIDDEN
]
PARENTS = [
    (name, column.name)
    for name, model in MODELS.items()
    for column in table_of(model).columns
    if column.foreign_keys
]


@pytest.fixture
async def system(agentdb_database: Database) -> Any:
    """A system unit of work; what a test leaves in it is committed at its end."""
    async with agentdb_database.begin_system(reason="a test of the errors") as unit:
        yield unit


def shown(error: BaseException) -> str:
    """Return all that is printed, logged or sent of an error and of its causes."""
    parts: list[str] = []
    chain: BaseException | None = error
    seen: set[int] = set()
    while chain is not None:
        assert id(chain) not in seen, "an error is its own cause"
        seen.add(id(chain))
        parts += [
            str(chain),
            repr(chain),
            repr(chain.args),
            *map(str, getattr(chain, "__notes__", ())),
        ]
        parts += [repr(value) for key, value in vars(chain).items() if not key.startswith("_")]
        chain = chain.__cause__
    return "\n".join(parts)


async def refused(unit: UnitOfWork, statement: Any) -> AgentDBError:
    """Return the error of a statement, which is undone alone."""
    with pytest.raises(AgentDBError) as caught:
        async with unit.savepoint():
            await unit.session.execute(statement)
    assert CANARY not in shown(caught.value)
    return caught.value


async def stored(unit: UnitOfWork, *rows: Base) -> None:
    """Store rows, parents first."""
    await unit.session.run_sync(store, rows)


def ancestors(table: str) -> set[str]:
    """Return the tables that a row of *table* may refer to, directly or not."""
    found: set[str] = set()
    todo = [table]
    while todo:
        for column in table_of(MODELS[todo.pop()]).columns:
            parent = parent_of(column)
            if parent is not None and parent[0] not in found:
                found.add(parent[0])
                todo.append(parent[0])
    return found - {table}


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


REFUSED: list[tuple[dict[str, Any], type[InvalidValueError]]] = [
    ({"code": CANARY * 10}, ValueTooLongError),
    ({"code": f"{CANARY}\x00"}, InvalidValueError),
    ({"code": f"{CANARY}\ud800"}, InvalidValueError),
    ({"code": 5}, InvalidValueError),
    ({"name": f"{CANARY}{'x' * 128}"}, ValueTooLongError),
    ({"price_cents": 2**31}, ValueOutOfRangeError),
    ({"price_cents": -(2**31) - 1}, ValueOutOfRangeError),
    ({"price_cents": 10**30}, ValueOutOfRangeError),
    ({"price_cents": CANARY}, InvalidValueError),
    ({"price_cents": 1.5}, InvalidValueError),
    ({"price_cents": True}, InvalidValueError),
    ({"interval": CANARY}, InvalidValueError),
    ({"is_active": 1}, InvalidValueError),
    ({"created_at": datetime(2025, 1, 1)}, NaiveDatetimeError),  # noqa: DTZ001 -- is refused
    ({"created_at": CANARY}, InvalidValueError),
    ({"feature_toggles": {CANARY: float("nan")}}, InvalidValueError),
    ({"feature_toggles": {"k": f"{CANARY}\x00"}}, InvalidValueError),
    ({"id": CANARY}, InvalidValueError),
]


def plan(*, like: str, **values: Any) -> BillingPlan:
    """Return a plan that is not stored."""
    fields: dict[str, Any] = {"code": like, "name": like, "price_cents": 1, **values}
    return BillingPlan(**fields)


@pytest.mark.parametrize(("values", "kind"), REFUSED)
async def test_a_refused_value_raises_alike_by_every_verb(
    system: UnitOfWork, values: dict[str, Any], kind: type[InvalidValueError]
) -> None:
    """By add, add_many, update, upsert and Core; the value is not shown and the unit goes on."""
    (column,) = values
    kept = await system.billing_plans.add(plan(like="kept"))
    full = {"code": "b", "name": "b", "price_cents": 1, **values}
    calls: list[Any] = [
        lambda: system.billing_plans.add(plan(like="b", **values)),
        lambda: system.billing_plans.add_many(
            [plan(like="a"), plan(like="b", **values), plan(like="c")]
        ),
        lambda: system.billing_plans.upsert(full, ["code"]),
        lambda: system.session.execute(insert(BillingPlan), [full, full]),
    ]
    if column != "id":
        calls.append(lambda: system.billing_plans.update(kept.id, **values))
    for call in calls:
        with pytest.raises(kind) as caught:
            await call()
        assert kind is type(caught.value)
        assert CANARY not in shown(caught.value)
        assert ("billing_plans", column) == (caught.value.table, caught.value.column)

    assert [kept] == await system.billing_plans.all()
    assert kept.code == "kept"


async def test_after_an_error_the_unit_commits_the_rest(agentdb_database: Database) -> None:
    """What a verb refused is undone alone: everything before and after it is stored."""
    async with agentdb_database.begin_system(reason="test") as unit:
        first = await unit.billing_plans.add(plan(like="first"))
        failures: list[tuple[type[AgentDBError], Any]] = [
            (DuplicateError, unit.billing_plans.add(plan(like="first"))),
            (DuplicateError, unit.billing_plans.add_many([plan(like="x"), plan(like="first")])),
            (InvalidValueError, unit.billing_plans.update(first.id, name=None)),
            (
                NotFoundError,
                unit.plan_features.upsert(
                    {"plan_id": uuid4(), "feature_key": "f"}, ["plan_id", "feature_key"]
                ),
            ),
            (NotFoundError, unit.billing_plans.update(uuid4(), name="x")),
            (InvalidValueError, unit.billing_plans.page(limit=0)),
        ]
        for kind, failing in failures:
            with pytest.raises(kind):
                await failing
        await unit.billing_plans.add(plan(like="last"))
    async with agentdb_database.read(reason="test") as unit:
        codes = {row.code for row in await unit.billing_plans.all()}

    assert {"first", "last"} == codes


async def test_an_over_long_value_is_the_same_error_wherever_the_row_comes_from(
    agentdb_session: AsyncSession,
) -> None:
    """A host's own flush raises our error too, without the value."""
    unit = UnitOfWork(agentdb_session, system="a host's session")
    agentdb_session.add(plan(like=CANARY * 20))
    with pytest.raises(ValueTooLongError) as caught:
        await agentdb_session.flush()

    assert CANARY not in shown(caught.value)
    await agentdb_session.rollback()
    assert not await unit.billing_plans.exists()


async def test_a_row_that_vanished_is_stale(system: UnitOfWork) -> None:
    """A host's flush of a row that a statement has deleted is a StaleVersionError."""
    row = await system.billing_plans.add(plan(like="a"))
    await system.session.execute(
        text("DELETE FROM billing_plans"), execution_options={"agentdb_confined": True}
    )
    row.name = CANARY
    with pytest.raises(StaleVersionError) as caught:
        await system.billing_plans.all()

    assert CANARY not in shown(caught.value)
    await system.session.rollback()


def test_errors_of_the_orm_are_translated() -> None:
    """What SQLAlchemy raises by itself is an AgentDBError that names the class alone."""
    with pytest.raises(AgentDBError, match="InvalidRequestError") as caught, orm_errors():
        raise InvalidRequestError(CANARY)
    assert CANARY not in str(caught.value)


STATES = [
    ("08006", UnavailableError),
    ("0A000", AgentDBError),
    ("22001", ValueTooLongError),
    ("22003", ValueOutOfRangeError),
    ("22012", InvalidValueError),
    ("22P02", InvalidValueError),
    ("23001", ReferencedError),
    ("23502", InvalidValueError),
    ("23503", NotFoundError),
    ("23505", DuplicateError),
    ("23514", InvalidValueError),
    ("25006", UnavailableError),
    ("25P02", AgentDBError),
    ("28000", UnavailableError),
    ("28P01", UnavailableError),
    ("3D000", UnavailableError),
    ("3F000", SchemaVersionError),
    ("40001", TransientError),
    ("40P01", TransientError),
    ("42501", PermissionDeniedError),
    ("42601", AgentDBError),
    ("42703", SchemaVersionError),
    ("42704", SchemaVersionError),
    ("42710", SchemaVersionError),
    ("42P01", SchemaVersionError),
    ("42P07", SchemaVersionError),
    ("53100", UnavailableError),
    ("53200", UnavailableError),
    ("53300", UnavailableError),
    ("55P03", TransientError),
    ("57014", DeadlineError),
    ("57P01", UnavailableError),
    ("57P03", UnavailableError),
    ("58030", UnavailableError),
    ("P0001", AgentDBError),
    ("XX000", AgentDBError),
    ("XX001", CorruptDatabaseError),
    ("XX002", CorruptDatabaseError),
]


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize(("state", "kind"), STATES)
async def test_each_sqlstate_has_its_error(
    agentdb_database: Database, state: str, kind: type[AgentDBError]
) -> None:
    """The class follows from the code alone; what the server says stays out of sight."""
    script = f"DO $$ BEGIN RAISE '{CANARY}' USING ERRCODE = '{state}', DETAIL = '{CANARY}'; END $$"
    with pytest.raises(AgentDBError) as caught:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.session.execute(text(script))

    assert kind is type(caught.value)
    assert CANARY not in shown(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("state", "expected"),
    [("08006", True), ("53300", True), ("57P01", True), ("53100", False), ("28P01", False)],
)
def test_only_what_may_pass_is_tried_again(state: str, expected: bool) -> None:
    """A full disk and a refused log-in stay as they are; a restart does not."""
    error = UnavailableError("x")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})()

    assert expected is may_pass(error)
    assert may_pass(UnavailableError("x", lost=True))
    assert may_pass(UnavailableError("x"))


@pytest.mark.agentdb_only("postgres")
async def test_a_value_that_the_driver_refuses_is_invalid(system: UnitOfWork) -> None:
    """Past our types, in a host's own SQL, the driver says no before the server does."""
    with pytest.raises(InvalidValueError) as caught:
        await system.session.execute(text("SELECT CAST(:v AS text)"), {"v": f"{CANARY}\x00"})

    assert CANARY not in shown(caught.value)


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_statement_that_takes_too_long_runs_into_its_limit(agentdb_url: str) -> None:
    """The limit of the settings holds in every unit."""
    async with Database(agentdb_url, settings=Settings(statement_timeout=0.05)) as database:
        for _ in range(2):
            with pytest.raises(DeadlineError):
                async with database.begin_system(reason="test") as unit:
                    await unit.session.execute(text("SELECT pg_sleep(10)"))


@pytest.mark.agentdb_only("postgres")
@pytest.mark.agentdb_commits
async def test_a_deadlock_is_transient(agentdb_database: Database) -> None:
    """One of the two units is told to run again, the other goes on."""
    async with agentdb_database.begin_system(reason="test") as unit:
        rows = [await unit.billing_plans.add(plan(like=code)) for code in "ab"]
    both = asyncio.Barrier(2)

    async def call(first: UUID, second: UUID) -> None:
        async with agentdb_database.begin_system(reason="test") as unit:
            await unit.session.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
            await unit.billing_plans.require(first, lock=True)
            await both.wait()
            await unit.billing_plans.require(second, lock=True)

    one, two = (row.id for row in rows)
    results = await asyncio.gather(call(one, two), call(two, one), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "TransientError"]


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_a_busy_file_is_transient(agentdb_url: str) -> None:
    """A writer that has waited long enough is told to run again; readers do not wait."""
    impatient = Database(agentdb_url, settings=Settings(busy_timeout=0.05))
    async with impatient as database:  # noqa: SIM117 -- the inner unit is what the other meets
        async with database.begin_system(reason="test"):
            with pytest.raises(TransientError):
                async with database.begin_system(reason="test"):
                    pass
            async with database.read(reason="test") as reader:
                assert await reader.billing_plans.count() == 0
            assert (await database.health()).reachable


async def test_a_database_without_tables_is_behind(agentdb_empty_url: str) -> None:
    """The error says what to do."""
    async with Database(agentdb_empty_url) as database:
        with pytest.raises(SchemaVersionError, match="agentdb upgrade"):
            async with database.begin_system(reason="test") as unit:
                await unit.billing_plans.all()
        assert (await database.health()).revision is None


def damaged(file: Path) -> None:
    """Overwrite the pages of a database behind its header."""
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_a_damaged_file_is_corrupt(agentdb_url: str) -> None:
    """A file whose pages make no sense is a CorruptDatabaseError."""
    damaged(Path(agentdb_url.removeprefix("sqlite:///")))
    async with Database(agentdb_url) as database:
        with pytest.raises(CorruptDatabaseError):
            async with database.begin_system(reason="test") as unit:
                await unit.billing_plans.all()


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    """Any other file is a CorruptDatabaseError, and is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text(CANARY * 1000)
    async with Database(f"sqlite:///{file}") as database:
        with pytest.raises(CorruptDatabaseError, match="not a SQLite database") as caught:
            async with database.begin_system(reason="test"):
                pass
        with pytest.raises(CorruptDatabaseError):
            await database.upgrade()

    assert CANARY not in shown(caught.value)
    assert file.read_text() == CANARY * 1000


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    """A folder that is missing, or a path that is a folder."""
    for url in (f"sqlite:///{tmp_path}/no/such.db", f"sqlite:///{tmp_path}"):
        async with Database(url) as database:
            with pytest.raises(UnavailableError, match="cannot be opened"):
                async with database.begin_system(reason="test"):
                    pass
            assert not (await database.health()).reachable


@pytest.mark.agentdb_only("sqlite")
@pytest.mark.agentdb_commits
async def test_errors_of_sqlite_are_known_by_their_code(agentdb_url: str) -> None:
    """A full disk and an interrupted statement have errors of their own."""
    async with Database(agentdb_url) as database:
        with pytest.raises(UnavailableError, match="disk is full") as caught:
            async with database.begin_system(reason="test") as unit:
                await unit.session.execute(text("PRAGMA max_page_count = 1"))
                await unit.billing_plans.add_many([plan(like=f"p{n}") for n in range(2_000)])
        assert not may_pass(caught.value)


async def test_every_error_of_a_hosts_engine_is_translated(agentdb_url: str) -> None:
    """An engine of the host raises the same errors once it is configured."""
    engine = create_async_engine(async_url(agentdb_url))
    configure(engine)
    async with AsyncSession(engine) as session:
        unit = UnitOfWork(session, system="a host's session")
        await unit.billing_plans.add(plan(like="a"))
        with pytest.raises(DuplicateError) as caught:
            await unit.billing_plans.add(plan(like="a", name=CANARY))
        await session.commit()
        assert len((await session.execute(select(BillingPlan))).all()) == 1
    await engine.dispose()

    assert caught.value.constraint == "uq_billing_plans_code"
    assert CANARY not in shown(caught.value)
