"""What the pydantic schemas share: their two bases and the field types that columns do not have.

The rules, which hold for every table:

* ``XRead`` has each column of the table under its own name, except the secrets, and no default: a
  response that leaves something out is a mistake that shows. Labels and JSON shapes that this
  release does not know pass as plain text and objects.
* ``XCreate`` has the columns that a caller supplies, required where the table has neither a default
  nor NULL. Left out are the columns that the library draws: keys with a generated value,
  ``created_at``, ``updated_at`` and, on tables with soft deletion, ``deleted_*``. It accepts what a
  column accepts, lists of labels included; what depends on other rows is left to the verbs.
* Field types are the aliases of :mod:`agentdb.columns`, so that lengths and ranges are written
  once, and those below.

``Model(**create.model_dump())`` makes the row, ``XRead.model_validate(row)`` shows it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

from annotated_types import MinLen
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, with_config

from agentdb.canonical import canonical_email, canonical_name, check_slug
from agentdb.columns import Email, Instant, Str64, Str128
from agentdb.errors import InvalidValueError
from agentdb.types import JsonObject

Label = TypeVar("Label", bound=StrEnum)
Shape = TypeVar("Shape")


class ReadSchema(BaseModel):
    """A row as it is shown to others, made from an entity or from a mapping."""

    model_config = ConfigDict(
        from_attributes=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )


class CreateSchema(BaseModel):
    """What makes a row."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # The input may be a secret, and messages end up in logs.
        json_schema_serialization_defaults_required=True,
        ser_json_bytes="base64",
        use_attribute_docstrings=True,
        val_json_bytes="base64",
    )


def _as_validator(canonical: Callable[[str], str]) -> BeforeValidator:
    """Return *canonical* as pydantic calls it: before the length check, refusals as ValueError."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return canonical(value)
        except InvalidValueError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(validate)


# Nothing is converted and no key is lost, so that what is read is what was written.
json_shape = with_config(ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True))
"""Marks a TypedDict as the shape of a JSON column."""

AwareInstant = Annotated[Instant, AwareDatetime]
"""A datetime with a time zone."""

EmailAddress = Annotated[Email, MinLen(3), _as_validator(canonical_email)]
Slug = Annotated[Str64, _as_validator(check_slug)]
Name64 = Annotated[Str64, MinLen(1), _as_validator(canonical_name)]
Name128 = Annotated[Str128, MinLen(1), _as_validator(canonical_name)]

Known: TypeAlias = Annotated[Label | str, Field(union_mode="left_to_right")]
"""A label of an enumeration, or the text of one that a newer release has stored."""

Shaped: TypeAlias = Annotated[Shape | JsonObject, Field(union_mode="left_to_right")]
"""JSON of a known shape, or an object that does not have it, as it is stored."""
