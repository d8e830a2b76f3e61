"""The mutants of the hot verbs, whose statements name their tenant themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from sqlalchemy import BinaryExpression, BindParameter, Column, event, true
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql import operators, visitors

from agentdb.tenancy import CONFINED
from tests.tenancy.fuzz import verbs
from tests.tenancy.fuzz.mutants import Changes, Mutant
from tests.tenancy.fuzz.units import Plan

HOT = (
    "agent_containers",
    "agent_messages",
    "agent_run_usage",
    "agent_vector_stores",
    "conversation_ledger_events",
    "conversation_run_queue_items",
    "service_account_tokens",
    "storage_buckets",
    "usage_counters",
)
"""Tables whose verbs run on bare tables, with nothing behind the tenant that they name.

For the others something else stands behind it: a row that was locked or looked up through the
filter before, or the check of the references. That of upserts is a mutant of its own.
"""

direct: Any = import_module("agentdb.direct")


def confining() -> Iterator[Mutant]:
    """Yield mutants whose statements of a table say nothing of the tenant any more."""
    for table in HOT:
        plan = Plan((verbs.domain,), focus=table)
        yield Mutant(f"tenant of hot statements: {table}", plan, partial(_unconfined, table))


class Stripped:
    """Takes the comparisons with the tenant out of the statements of a table."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._made: dict[Any, Any] = {}

    def __call__(self, statement: Any) -> Any:
        """Return a statement without them; the same one for the same."""
        if statement not in self._made:
            self._made[statement] = self._strip(statement)
        return self._made[statement]

    def _strip(self, statement: Any) -> Any:
        tables = {str(getattr(e, "name", "")) for e in visitors.iterate(statement)}
        if self._table not in tables:
            return statement
        traverse: Any = visitors.replacement_traverse
        return traverse(statement, {}, self._replace)

    def _replace(self, element: Any, **_: Any) -> Any:
        if not isinstance(element, BinaryExpression) or element.operator is not operators.eq:
            return None
        sides = (element.left, element.right)
        named = any(isinstance(side, Column) and side.name == "tenant_id" for side in sides)
        given = any(isinstance(side, BindParameter) for side in sides)
        return true() if named and given else None


def _unconfined(table: str, changes: Changes) -> None:
    strip, present = Stripped(table), direct._compiled

    def compiled(connection: Any, statement: Any) -> Any:
        return present(connection, strip(statement))

    changes.replace(direct, "_compiled", compiled)

    def change(state: ORMExecuteState) -> None:
        if state.execution_options.get(CONFINED):
            state.statement = strip(state.statement)

    event.listen(Session, "do_orm_execute", change)
    changes.callback(lambda: event.remove(Session, "do_orm_execute", change))
