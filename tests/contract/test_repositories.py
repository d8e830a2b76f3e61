"""Every table has its repository on the unit of work, with the verbs that follow from its keys."""

from collections.abc import AsyncIterator, Iterator
from inspect import Parameter, signature
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Index, Table, UniqueConstraint, event, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import get_original_bases

from agentdb.engines import make_async_engine
from agentdb.errors import AppendOnlyError, PermissionDeniedError, ReferencedError
from agentdb.orm import Base
from agentdb.paging import Page
from agentdb.repository import AppendOnlyRepository, Repository, VerbWrittenRepository
from agentdb.repository.of import Of
from agentdb.settings import Settings
from agentdb.testing import Template
from agentdb.unit_of_work import UnitOfWork

MODELS: dict[str, type[Base]] = {
    mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers
}
LOGS = {
    "activity_events",
    "agent_run_usage",
    "password_history",
    "security_events",
    "user_login_events",
}
VERBS = {
    "agent_messages": "append",
    "conversation_ledger_events": "append",
    "conversation_ledger_segments": "active",
    "conversation_run_queue_items": "enqueue",
}
FOUND_BY_REF = "conversation_key"
VALUES: dict[type[Any], Any] = {UUID: uuid4(), str: "nobody@nowhere.example"}

every_table = pytest.mark.parametrize("table", sorted(MODELS))


def table_of(name: str) -> Table:
    """Return a table, by name."""
    return Base.metadata.tables[name]


def attribute_of(column: Column[Any]) -> str:
    """Return the attribute that a column is mapped to."""
    return inspect(MODELS[column.table.name]).get_property_by_column(column).key


def is_unique(column: Column[Any]) -> bool:
    """Tell whether a constraint, or an index of all rows, makes the column a key of its own."""
    table: Table = column.table
    keys = [list(c.columns) for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys += [list(i.columns) for i in table.indexes if i.unique and not is_partial(i)]
    return [column] in keys


def is_partial(index: Index) -> bool:
    """Tell whether an index leaves rows out."""
    return index.dialect_options["postgresql"]["where"] is not None


def _lookups() -> Iterator[tuple[str, str]]:
    """Yield the table and the column of every look-up by one value."""
    for name in sorted(MODELS):
        for column in table_of(name).columns:
            token = column.name.endswith("token_hash")
            if (is_unique(column) or token) and column.name != FOUND_BY_REF:
                yield name, column.name


def _parents() -> Iterator[tuple[str, str]]:
    """Yield the table and the column of every foreign key."""
    for name in sorted(MODELS):
        yield from ((name, c.name) for c in table_of(name).columns if c.foreign_keys)


LOOKUPS = list(_lookups())
PARENTS = list(_parents())


@pytest.fixture
async def unit() -> AsyncIterator[UnitOfWork]:
    """Yield a system unit of work that never connects."""
    engine = make_async_engine("sqlite://", Settings())
    async with AsyncSession(engine) as session:
        yield UnitOfWork(session, system="a test of the repositories")
    await engine.dispose()


@pytest.fixture(scope="module")
def url(agentdb_template: Template) -> Iterator[str]:
    """Yield the URL of an empty database at the newest revision."""
    url = agentdb_template.clone()
    yield url
    agentdb_template.drop(url)


@pytest.fixture
async def empty(url: str) -> AsyncIterator[UnitOfWork]:
    """Yield a system unit of work over tables without rows."""
    engine = make_async_engine(url, Settings())
    async with AsyncSession(engine) as session:
        yield UnitOfWork(session, system="a test of the repositories")
    await engine.dispose()


def repository_of(unit: UnitOfWork, table: str) -> Repository[Any, Any]:
    """Return the repository of a table."""
    found = getattr(unit, table)
    assert isinstance(found, Repository)
    return found  # pyright: ignore[reportUnknownVariableType] -- any table's


def statements_of(unit: UnitOfWork) -> list[str]:
    """Return a list that fills with the statements which the unit sends."""
    sent: list[str] = []

    @event.listens_for(unit.session.sync_session.get_bind(), "before_cursor_execute")
    def remember(*arguments: Any) -> None:
        sent.append(" ".join(str(arguments[2]).split()))

    return sent


async def test_the_unit_of_work_has_the_repositories_of_all_tables(unit: UnitOfWork) -> None:
    """One attribute for each of the 46 tables, under its name, and no other repository."""
    declared = {name for name, value in vars(UnitOfWork).items() if isinstance(value, Of)}
    repositories = {name for name in declared if isinstance(getattr(unit, name), Repository)}

    assert set(MODELS) == repositories == declared
    assert len(repositories) == 46


@every_table
async def test_a_repository_is_named_after_its_table(unit: UnitOfWork, table: str) -> None:
    """From the table one finds model, repository and package without looking them up."""
    model, repository = MODELS[table], repository_of(unit, table)

    assert model is repository.model
    assert f"{model.__name__}Repository" == type(repository).__name__
    package, _, module = type(repository).__module__.partition(".repository")
    assert package.startswith(model.__module__.removesuffix(".models"))
    assert module.count(".") <= 1
    assert unit is repository.unit


@every_table
async def test_a_repository_is_typed_by_its_model_and_key(unit: UnitOfWork, table: str) -> None:
    """Type checkers refuse a key of another type: text, number, UUID or a tuple in key order."""
    keys = [column.type.python_type for column in table_of(table).primary_key]
    expected = keys[0] if len(keys) == 1 else tuple[tuple(keys)]  # type: ignore[misc]
    (base,) = get_original_bases(type(repository_of(unit, table)))

    assert (MODELS[table], expected) == get_args(base)[:2]


@every_table
async def test_pages_are_sorted_by_a_column_of_the_table(unit: UnitOfWork, table: str) -> None:
    """Newest first is a column of the model; link tables have none and are paged by key."""
    columns = inspect(MODELS[table]).column_attrs

    assert len(table_of(table).primary_key) > 1 or repository_of(unit, table).newest in columns


@pytest.mark.parametrize(("table", "column"), LOOKUPS)
async def test_a_row_is_found_by_each_value_that_identifies_it(
    unit: UnitOfWork, table: str, column: str
) -> None:
    """Every unique column and every digest of a token has a look-up ``by_<column>(value)``."""
    attribute = attribute_of(table_of(table).c[column])
    verb = getattr(repository_of(unit, table), f"by_{attribute}")
    first, *others = signature(verb).parameters.values()

    assert attribute == first.name
    assert table_of(table).c[column].type.python_type is get_type_hints(verb)[attribute]
    assert {Parameter.KEYWORD_ONLY} >= {other.kind for other in others}


@pytest.mark.parametrize(("table", "column"), LOOKUPS)
async def test_a_look_up_asks_for_its_own_column(
    empty: UnitOfWork, table: str, column: str
) -> None:
    """``by_<column>`` compares that column alone, and finds nothing in an empty table."""
    found = table_of(table).c[column]
    verb = getattr(repository_of(empty, table), f"by_{attribute_of(found)}")
    sent = statements_of(empty)

    assert await verb(VALUES[found.type.python_type]) is None
    assert any(f"WHERE {table}.{column} = " in statement for statement in sent)


async def test_what_is_no_address_finds_no_user(empty: UnitOfWork) -> None:
    """A look-up by e-mail is no validation: malformed and over-long addresses match nothing."""
    assert await empty.users.by_email("no address") is None
    assert await empty.users.by_email(f"{'a' * 300}@example.com") is None


@pytest.mark.parametrize(("table", "column"), PARENTS)
async def test_the_rows_of_each_parent_come_in_pages(
    unit: UnitOfWork, table: str, column: str
) -> None:
    """Every foreign key has a page ``for_<parent>(id)``, with cursor and limit as `page` has."""
    attribute = attribute_of(table_of(table).c[column])
    verb = getattr(repository_of(unit, table), f"for_{attribute.removesuffix('_id')}")
    parameters, hints = signature(verb).parameters, get_type_hints(verb)
    options = {name: parameter for name, parameter in parameters.items() if name != attribute}

    assert attribute == next(iter(parameters))
    assert table_of(table).c[column].type.python_type is hints[attribute]
    assert options["after"].default is None
    assert options["limit"].default == 50
    assert {Parameter.KEYWORD_ONLY} == {option.kind for option in options.values()}
    assert Parameter.empty not in {option.default for option in options.values()}
    assert (Page, (MODELS[table],)) == (get_origin(hints["return"]), get_args(hints["return"]))


@pytest.mark.parametrize(("table", "column"), PARENTS)
async def test_a_page_asks_for_its_own_parent(empty: UnitOfWork, table: str, column: str) -> None:
    """``for_<parent>`` compares that foreign key, newest first, and ends at once when empty."""
    found = table_of(table).c[column]
    repository = repository_of(empty, table)
    verb = getattr(repository, f"for_{attribute_of(found).removesuffix('_id')}")
    sent = statements_of(empty)
    key = table_of(table).primary_key.columns[0].name
    order = f"{table}.{repository.newest} DESC" if key == "id" else f"{table}.{key}"

    assert await verb(VALUES[found.type.python_type]) == Page(())
    assert any(f"WHERE {table}.{column} = " in statement for statement in sent)
    assert f" ORDER BY {order}" in next(s for s in sent if "ORDER BY" in s)


@every_table
async def test_look_ups_see_deleted_rows_on_demand(unit: UnitOfWork, table: str) -> None:
    """``by_`` and ``for_`` take ``include_deleted`` where rows are soft-deleted, else not.

    Those that no key of the schema asks for may be about live rows alone.
    """
    repository = repository_of(unit, table)
    verbs = [f"by_{attribute_of(table_of(t).c[c])}" for t, c in LOOKUPS if t == table]
    verbs += [
        f"for_{attribute_of(table_of(t).c[c]).removesuffix('_id')}"
        for t, c in PARENTS
        if t == table
    ]
    deleted = "deleted_at" in table_of(table).columns

    for verb in verbs:
        option = signature(getattr(repository, verb)).parameters.get("include_deleted")
        assert (option is not None) == deleted
        assert option is None or (option.kind, option.default) == (Parameter.KEYWORD_ONLY, False)


@every_table
async def test_logs_and_ordered_rows_have_their_own_rules(unit: UnitOfWork, table: str) -> None:
    """Five tables are append-only and four are written by verbs; all others take every verb."""
    repository = repository_of(unit, table)

    assert (table in LOGS) == isinstance(repository, AppendOnlyRepository)
    assert VERBS.get(table) == getattr(repository, "verb", None)


@pytest.mark.parametrize("table", sorted(LOGS))
async def test_a_log_is_never_changed(unit: UnitOfWork, table: str) -> None:
    """``update`` and ``upsert`` of an append-only table are refused before any SQL is sent."""
    repository = repository_of(unit, table)

    with pytest.raises(AppendOnlyError, match=table):
        await repository.update(uuid4(), created_at=None)
    with pytest.raises(AppendOnlyError, match=table):
        await repository.upsert({}, ["id"])


@pytest.mark.parametrize(("table", "verb"), sorted(VERBS.items()))
async def test_ordered_rows_are_written_by_their_verb(
    unit: UnitOfWork, table: str, verb: str
) -> None:
    """Every generic verb that writes is refused and names the verb to use instead."""
    repository = repository_of(unit, table)
    assert isinstance(repository, VerbWrittenRepository)

    with pytest.raises(PermissionDeniedError, match=f"`{verb}`"):
        await repository.add(object())
    with pytest.raises(PermissionDeniedError, match=f"`{verb}`"):
        await repository.update(1, created_at=None)
    with pytest.raises(PermissionDeniedError, match=f"`{verb}`"):
        await repository.upsert({}, ["id"])
    with pytest.raises(PermissionDeniedError, match=f"`{verb}`"):
        await repository.delete(1)


@pytest.mark.parametrize(
    ("table", "operation"), [("tenant_accounts", "erase_tenant"), ("users", "delete_user")]
)
async def test_tenants_and_users_are_deleted_by_operations(
    unit: UnitOfWork, table: str, operation: str
) -> None:
    """Rows refer to both without a foreign key, so a plain deletion would leave them behind."""
    with pytest.raises(ReferencedError, match=f"operations.{operation}"):
        await repository_of(unit, table).delete(uuid4())
