"""Draws tables, columns and values by a seeded generator of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from agentdb.orm import Base
from tests.rows import MODELS
from tests.tenancy.fuzz.arena import Arena
from tests.tenancy.fuzz.columns import TABLES
from tests.tenancy.fuzz.population import OPERATOR, Population

T = TypeVar("T")


@dataclass(frozen=True)
class Draw:
    """What random statements are made from.

    Attributes:
        rng: Decides everything; the same seed makes the same statement.
        arena: The databases.
        tenant: The label of the tenant whose unit it is.
        focus: A table that most of what is drawn is about; None for all alike.
    """

    rng: Random
    arena: Arena
    tenant: str
    focus: str | None = None

    @property
    def population(self) -> Population:
        """The rows."""
        return self.arena.population

    def chance(self, share: float) -> bool:
        """Return True in a *share* of all cases."""
        return self.rng.random() < share

    def among(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return self.rng.choice(choices)

    def table(self, *, other: bool = False) -> str:
        """Return the name of a table: the focus, unless it is to be any."""
        if self.focus is not None and (not other or self.chance(0.3)):
            return self.focus
        name = self.among(TABLES)
        # Closed tables are refused: a few times is enough.
        return self.among(TABLES) if name in OPERATOR else name

    def model(self, *, other: bool = False) -> type[Base]:
        """Return a mapped class."""
        return MODELS[self.table(other=other)]

    def value(self, table: str, column: str) -> str:
        """Return a text that stands in a column, of whatever tenant, or one that does not."""
        texts = self.arena.stored.texts[table, column]
        return self.among(texts) if texts and not self.chance(0.1) else "nobody"
