"""Verbs that take columns by name take those that they list, and no others."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any

import pytest

from agentdb import operations
from agentdb.errors import InvalidValueError
from agentdb.models import Base
from agentdb.unit_of_work import UnitOfWork

FIELDS = Parameter.VAR_KEYWORD
OPEN = {"update"}
"""Verbs that take every column, and check the names themselves."""


def takes_fields(verb: Callable[..., Any]) -> bool:
    """Whether a verb takes columns by name."""
    return any(p.kind is FIELDS for p in signature(verb).parameters.values())


TABLES = sorted(mapper.class_.__tablename__ for mapper in Base.registry.mappers)
OPERATIONS = sorted(
    name
    for name in operations.__all__
    if iscoroutinefunction(getattr(operations, name)) and takes_fields(getattr(operations, name))
)


async def refuse(verb: Callable[..., Any]) -> None:
    """Call a verb with a column that it does not list, and nothing else that is right."""
    required = [
        parameter
        for parameter in signature(verb).parameters.values()
        if parameter.default is Parameter.empty and parameter.kind is not FIELDS
    ]
    given = [None for p in required if p.kind is not Parameter.KEYWORD_ONLY]
    named = {p.name: None for p in required if p.kind is Parameter.KEYWORD_ONLY}
    with pytest.raises(InvalidValueError, match="takes no column_of_nobody"):
        await verb(*given, **named, column_of_nobody=1)


@pytest.mark.parametrize("table", TABLES)
async def test_no_verb_writes_a_column_that_it_does_not_list(
    agentdb_uow: UnitOfWork, table: str
) -> None:
    """Positions, stamps and states are not at the caller's disposal."""
    repository: object = getattr(agentdb_uow, table)
    for name in dir(repository):
        verb = getattr(repository, name)
        if name[0] == "_" or name in OPEN or isinstance(verb, type) or not callable(verb):
            continue
        if takes_fields(verb):
            await refuse(verb)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_operation_writes_a_column_that_it_does_not_list(name: str) -> None:
    """The same across tables."""
    await refuse(getattr(operations, name))
