"""The entities of a unit that has no session yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import instance_state

from agentdb.orm import Base
from agentdb.tenancy.guard import trust

ENOUGH = 100
"""How many entities are kept; a session, which forgets those that nobody holds, takes over more."""


class Answers:
    """Entities that statements past the ORM have answered, each row as one entity.

    They are as good as those of a session: one that is made later takes them over, with what the
    host has changed in them. To make one for each costs as much as the statement.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._entities: dict[Any, Base] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self._entities

    @property
    def is_full(self) -> bool:
        """Whether they are too many to keep."""
        return len(self._entities) >= ENOUGH

    @property
    def is_changed(self) -> bool:
        """Whether the host has changed some."""
        return any(instance_state(entity).modified for entity in self._entities.values())

    def find(self, model: type[Base], key: Iterable[Any]) -> Base | None:
        """Return the entity with *key*."""
        return self._entities.get((model, tuple(key))) if self._entities else None

    def keep(self, entity: Base) -> None:
        """Keep an entity, which has no session."""
        self._entities[type(entity), instance_state(entity).identity] = entity

    def hand_over(self, session: Session) -> None:
        """Give all to *session*."""
        while self._entities:
            take_in(session, self._entities.popitem()[1])


def take_in(session: Session, entity: Base) -> None:
    """Add an entity that holds what the database has just answered to this unit."""
    session.add(entity)
    trust(entity)
