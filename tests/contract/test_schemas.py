"""The pydantic schemas are the tables, field by field: what a model has, its schemas have."""

import re
from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from annotated_types import MaxLen
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, inspect
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from typing_extensions import is_typeddict

from agentdb import schemas
from agentdb.models import Base
from agentdb.schema import CreateSchema, ReadSchema
from agentdb.types import Choice, NativeEnum
from tests.contract.schema_examples import hints_of

MODELS: dict[str, type[Base]] = {
    mapper.class_.__name__: mapper.class_
    for mapper in sorted(Base.registry.mappers, key=lambda mapper: mapper.class_.__name__)
}
DRAWN = frozenset({"created_at", "updated_at", "deleted_at", "deleted_by", "deleted_reason"})
NULL_IS_EMPTY = frozenset({("agent_messages", "attachments")})
SECRET_NAME = re.compile(r"^password_hash$|(token|code)_hash$|_encrypted$|^credential_json$")

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def read_of(model: type[Base]) -> type[ReadSchema]:
    """Return the Read schema of a model, by its name."""
    found: object = getattr(schemas, f"{model.__name__}Read")
    assert isinstance(found, type)
    assert issubclass(found, ReadSchema)
    return found


def create_of(model: type[Base]) -> type[CreateSchema]:
    """Return the Create schema of a model, by its name."""
    found: object = getattr(schemas, f"{model.__name__}Create")
    assert isinstance(found, type)
    assert issubclass(found, CreateSchema)
    return found


def columns_of(model: type[Base]) -> dict[str, Column[Any]]:
    """Return the columns by attribute, without the words that PostgreSQL keeps for the search."""
    mapper = inspect(model)
    names = {mapper.get_property_by_column(column).key: column for column in mapper.columns}
    return {name: column for name, column in names.items() if name != "text_tsv"}


def supplied_by_callers(model: type[Base]) -> dict[str, Column[Any]]:
    """Return the columns by attribute that the library does not draw."""
    return {
        name: column
        for name, column in columns_of(model).items()
        if name not in DRAWN
        and not (column.primary_key and (column.autoincrement is True or column.default))
    }


def parts(annotation: Any) -> frozenset[Any]:
    """Return the plain types of an annotation: aliases opened, shapes of JSON as what they are."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return parts(arguments[0])
    if origin in (Union, UnionType):
        return frozenset[Any]().union(*(parts(argument) for argument in arguments))
    if origin is list:
        return frozenset({("list", parts(arguments[0]))})
    if origin is dict or is_typeddict(annotation):
        return frozenset({dict})
    return frozenset({annotation})


def mapped_types(model: type[Base]) -> dict[str, frozenset[Any]]:
    """Return the plain types of the attributes of a model."""
    # Relationships name models of other modules, which those import for type checkers alone.
    hints = get_type_hints(model, localns=dict[str, Any](MODELS), include_extras=True)
    types = {name: parts(get_args(hints[name])[0]) for name in columns_of(model)}
    for table, name in NULL_IS_EMPTY:
        if model.__tablename__ == table:
            types[name] -= {type(None)}
    return types


def max_length(annotation: Any) -> int | None:
    """Return the most characters that a field takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return max_length(arguments[0])
    if origin is not Annotated:
        return None
    limits = [item.max_length for item in annotation.__metadata__ if isinstance(item, MaxLen)]
    return min(limits, default=max_length(arguments[0]))


@every_model
def test_a_schema_is_named_after_its_model(model: type[Base]) -> None:
    """Every table has a Read and a Create schema, side by side in the package of its model."""
    package = model.__module__.removesuffix(".models")

    module = read_of(model).__module__
    assert f"{module}.".startswith(f"{package}.schemas.")
    assert module == create_of(model).__module__


def test_the_facade_has_every_schema_in_order() -> None:
    """``agentdb.schemas`` exports the schemas of all tables and the shapes of JSON, sorted."""
    of_tables = {f"{name}{kind}" for name in MODELS for kind in ("Read", "Create")}
    shapes = {"Attachment", "BillingContact", "MessageContent", "PublicFrame", "RequestUsage"}

    assert sorted(schemas.__all__) == schemas.__all__
    assert of_tables | shapes == set(schemas.__all__)


@every_model
def test_read_has_every_column_but_the_secrets(model: type[Base]) -> None:
    """A row is shown whole, in the order of its columns, and without what nobody may see."""
    shown = [name for name in columns_of(model) if name not in model.__secrets__]

    assert shown == list(read_of(model).model_fields)


@every_model
def test_no_secret_is_shown_by_whatever_name(model: type[Base]) -> None:
    """A hash of a credential or an encrypted value is declared secret, so that no Read has it."""
    assert [name for name in read_of(model).model_fields if SECRET_NAME.search(name)] == []


@every_model
def test_read_requires_every_field(model: type[Base]) -> None:
    """A response that leaves a field out is a mistake, not a default."""
    assert all(field.is_required() for field in read_of(model).model_fields.values())


@every_model
def test_read_fields_have_the_types_of_the_columns(model: type[Base]) -> None:
    """A value read passes unchanged; a label of a newer release does as text."""
    types = mapped_types(model)
    for name, column in columns_of(model).items():
        if isinstance(column.type, NativeEnum):
            types[name] |= {str}

    shown = hints_of(read_of(model))

    assert {name: types[name] for name in shown} == {name: parts(shown[name]) for name in shown}


@every_model
def test_create_has_what_callers_supply(model: type[Base]) -> None:
    """All columns but drawn keys, time stamps of creation and change, and marks of deletion."""
    assert list(supplied_by_callers(model)) == list(create_of(model).model_fields)


@every_model
def test_create_fields_have_the_types_of_the_columns(model: type[Base]) -> None:
    """What a Create schema lets pass, the column takes; closed lists are enumerations."""
    types = mapped_types(model)
    given = {name: parts(hint) for name, hint in hints_of(create_of(model)).items()}
    for name, column in supplied_by_callers(model).items():
        if isinstance(column.type, Choice):
            (labels,) = given[name] - {type(None)}
            types[name] = types[name] - {str} | {labels}

            assert issubclass(labels, Enum)
            assert list(column.type.labels) == [member.value for member in labels]

    assert {name: types[name] for name in given} == given


@every_model
def test_create_requires_what_the_table_cannot_fill_in(model: type[Base]) -> None:
    """Required is a column that has no default and takes no NULL, and no other."""
    needed = {
        name
        for name, column in supplied_by_callers(model).items()
        if not column.nullable and column.default is None
    }
    fields = create_of(model).model_fields

    assert needed == {name for name, field in fields.items() if field.is_required()}


@every_model
def test_create_has_the_defaults_of_the_columns(model: type[Base]) -> None:
    """A field that is left out gets what the column would have got."""
    fields = create_of(model).model_fields
    for name, column in supplied_by_callers(model).items():
        made: object = fields[name].get_default(call_default_factory=True)
        match column.default:
            case ScalarElementColumnDefault(arg=expected):
                assert expected == made
            case CallableColumnDefault():
                draw: Any = column.default.arg
                drawn: object = draw(None)
                assert type(drawn) is type(made)
                assert drawn == made or isinstance(drawn, datetime)
            case _:
                assert fields[name].is_required() or made is None


@every_model
def test_text_is_as_long_as_the_column(model: type[Base]) -> None:
    """Lengths come from the columns; only a Create schema may be narrower."""
    columns = columns_of(model)
    for name, hint in hints_of(read_of(model)).items():
        if not isinstance(columns[name].type, NativeEnum):
            assert getattr(columns[name].type, "length", None) == max_length(hint)
    for name, hint in hints_of(create_of(model)).items():
        length = getattr(columns[name].type, "length", None)
        if length and not isinstance(columns[name].type, Choice | NativeEnum):
            assert (max_length(hint) or length + 1) <= length


@every_model
def test_a_datetime_needs_a_time_zone(model: type[Base]) -> None:
    """A naive datetime is refused in every field that takes an instant."""
    naive = datetime(2026, 1, 2, 3, 4)  # noqa: DTZ001 - what is refused
    for schema in (read_of(model), create_of(model)):
        for hint in hints_of(schema).values():
            if datetime in parts(hint):
                with pytest.raises(ValidationError, match="timezone"):
                    TypeAdapter[Any](hint).validate_python(naive)


@every_model
def test_secrets_stay_out_of_the_repr(model: type[Base]) -> None:
    """A Create schema carries secrets to the database and shows them to no log."""
    fields = create_of(model).model_fields

    assert [name for name in model.__secrets__ & set(fields) if fields[name].repr] == []
