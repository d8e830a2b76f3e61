"""The plans of the statements that a verb sends, as the database would run them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState

from agentdb import UnitOfWork
from agentdb.direct import Call, Row
from agentdb.tenancy import CONFINED
from agentdb.testing import Plan, explain


async def plans_of(unit: UnitOfWork, work: Awaitable[Any]) -> list[Plan]:
    """Run *work* and return the plans of its SELECTs, UPDATEs and DELETEs, in order.

    Left out are those that read the clock alone.
    """
    sent: list[Any] = []

    def remember(state: ORMExecuteState) -> None:
        statement: Any = state.statement
        reads_nothing = state.is_select and not statement.get_final_froms()
        if not (state.is_insert or state.parameters or reads_nothing):
            sent.append(statement.execution_options(**state.execution_options))

    send = unit.send

    async def remember_sent(*calls: Call, **options: Any) -> list[list[Row]]:
        for call in calls:
            query: Any = call[0]
            if query.is_select and query.get_final_froms():
                sent.append(query.params(call[1]).execution_options(**{CONFINED: True}))
        return await send(*calls, **options)

    session = unit.session.sync_session
    vars(unit)["send"] = remember_sent
    event.listen(session, "do_orm_execute", remember, insert=True)
    try:
        await work
    finally:
        event.remove(session, "do_orm_execute", remember)
        del vars(unit)["send"]
    return [await explain(unit, statement) for statement in sent]


def sorts(plan: Plan) -> bool:
    """Whether the database puts rows in order itself, instead of following an index."""
    return "Sort" in plan.text or "TEMP B-TREE" in plan.text
