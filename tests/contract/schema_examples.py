"""Examples of schemas for property tests, drawn from the annotations of their fields."""

from datetime import UTC, date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from annotated_types import MaxLen
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import inspect
from typing_extensions import is_typeddict

from agentdb.ledger.schemas import PublicFrame
from agentdb.orm import Base
from agentdb.schema import EmailAddress, Slug

S = TypeVar("S", bound=BaseModel)

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=20)
EMAILS = st.builds("{}@{}.example".format, LABEL, LABEL)
SLUGS = st.lists(LABEL, min_size=1, max_size=3).map("-".join)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
NUMBERS = st.integers(-(2**31), 2**31 - 1)
INSTANTS = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001 - the zone is drawn apart
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(CHARACTERS, max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(LABEL, inner, max_size=2),
    max_leaves=3,
)
SPECIAL: dict[Any, st.SearchStrategy[Any]] = {
    EmailAddress: EMAILS,
    Slug: SLUGS,
    Any: JSON,
    NoneType: st.none(),
    UUID: st.uuids(),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    date: st.dates(),
    datetime: INSTANTS,
    int: NUMBERS,
    str: st.text(CHARACTERS, max_size=20),
    get_type_hints(PublicFrame, include_extras=True)["server_timestamp"]: INSTANTS.map(
        datetime.isoformat
    ),
}


def creates(schema: type[S]) -> st.SearchStrategy[S]:
    """Draw examples of a Create schema: all that is required, and any of the rest."""
    fields = {name: values(hint) for name, hint in hints_of(schema).items()}
    required = {name for name, field in schema.model_fields.items() if field.is_required()}
    given = st.fixed_dictionaries(
        {name: drawn for name, drawn in fields.items() if name in required},
        optional={name: drawn for name, drawn in fields.items() if name not in required},
    )
    return given.map(schema.model_validate)


def hints_of(schema: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations of the fields, with what pydantic takes out of them."""
    hints = get_type_hints(schema, include_extras=True)
    return {name: hints[name] for name in schema.model_fields}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Draw values of one field."""
    if annotation in SPECIAL:
        return SPECIAL[annotation]
    if is_typeddict(annotation):
        return _objects(get_type_hints(annotation, include_extras=True))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return st.sampled_from(annotation)
    return _composed(annotation, origin, arguments)


def _composed(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin is Annotated:
        return _bounded(arguments[0], annotation.__metadata__)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(LABEL, values(arguments[1]), max_size=2)
    assert origin in (Union, UnionType)
    return st.one_of([values(argument) for argument in arguments])


def _bounded(annotation: Any, metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    limits = [item.max_length for item in metadata if isinstance(item, MaxLen)]
    if not limits:
        return values(annotation)
    # Two letters around it, so that no minimum and no trimming of names costs an example.
    inner = st.text(CHARACTERS, max_size=min(limits) - 2)
    return inner.map("a{}z".format)


def _objects(hints: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    optional = {key: hint for key, hint in hints.items() if get_origin(hint) is NotRequired}
    return st.fixed_dictionaries(
        {key: values(hint) for key, hint in hints.items() if key not in optional},
        optional={key: values(get_args(hint)[0]) for key, hint in optional.items()},
    )


def row_of(model: type[Base], create: BaseModel) -> Base:
    """Return the entity that *create* describes, numbered as if it were stored."""
    row = model(**create.model_dump())
    mapper = inspect(model)
    for column in mapper.primary_key:
        if column.autoincrement is True:
            setattr(row, mapper.get_property_by_column(column).key, 1)
    return row
