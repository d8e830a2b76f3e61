"""How the tests look at what was refused."""

from __future__ import annotations

from typing import Any

import pytest

from agentdb import UnitOfWork
from agentdb.errors import (
    AgentDBError,
)
from agentdb.models import BillingPlan
from agentdb.orm import Base
from tests.rows import (
    store,
)

CANARY = "hunter2"
"""Stands in every text of a row that is refused; no error may show it."""


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


def plan(*, like: str, **values: Any) -> BillingPlan:
    """Return a plan that is not stored."""
    fields: dict[str, Any] = {"code": like, "name": like, "price_cents": 1, **values}
    return BillingPlan(**fields)
