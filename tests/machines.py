"""State machines of hypothesis whose rules run units of work."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from agentdb import Database


def run_machine(
    machine: type[RuleBasedStateMachine],
    database: Database,
    *,
    steps: int,
    examples: int | None = None,
    **attributes: Any,
) -> None:
    """Run a state machine over a database, all of it in one event loop.

    Args:
        machine: Has the attributes ``database`` and ``runner``, which runs its coroutines.
        database: The database; its connections belong to the loop and are closed with it.
        steps: How many rules an example applies at the most.
        examples: How many examples there are; None for those of the profile.
        attributes: Further attributes of the machine.
    """
    chosen = settings(stateful_step_count=steps)
    chosen = chosen if examples is None else settings(chosen, max_examples=examples)
    with asyncio.Runner() as runner:
        given = {"database": database, "runner": runner, **attributes}
        try:
            run_state_machine_as_test(type(machine.__name__, (machine,), given), settings=chosen)
        finally:
            runner.run(database.dispose())
