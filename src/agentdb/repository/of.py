"""What stands on a unit of work for the repository of each table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

from agentdb.unit import Unit

R = TypeVar("R")


class Of(Generic[R]):
    """Declares a repository of a unit of work, which is made when it is first used.

    A unit uses a few of them, and each would be a cycle of references for the collector.
    """

    def __init__(self, repository: Callable[[Unit], R]) -> None:
        self._repository = repository
        self._name = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, unit: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, unit: Unit, owner: type[Any]) -> R: ...

    def __get__(self, unit: Unit | None, owner: type[Any]) -> Self | R:
        if unit is None:
            return self
        made = self._repository(unit)
        # Found there from now on: this is not asked again.
        vars(unit)[self._name] = made
        return made
