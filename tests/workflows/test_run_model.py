"""One run and its steps against a model that is a handful of fields."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentdb import Database, UnitOfWork
from agentdb.errors import AgentDBError, InvalidTransitionError, NotFoundError
from agentdb.operations import cancel_run, restore_run, sign_up, soft_delete_run
from tests.machines import run_machine

ENDS = ("succeeded", "failed", "cancelled")


@dataclass
class Run:
    """What the run and its steps should be.

    Attributes:
        status: Of the run.
        deleted: Whether it is hidden, with its steps.
        steps: The states of the steps, by number.
    """

    status: str = "running"
    deleted: bool = False
    steps: list[str] = field(default_factory=list[str])

    def end(self, status: str) -> None:
        """End it; the running steps of a cancelled one are cancelled."""
        self.status = status
        if status == "cancelled":
            self.steps = [status if step == "running" else step for step in self.steps]


class Workflow(RuleBasedStateMachine):
    """Rules do what workers and users do; each in a unit of its own."""

    database: Database
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.model = Run()
        self.keys: list[str] = []
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        async with self.database.begin_system(reason="test") as uow:
            made = await sign_up(
                uow, email=f"{uuid4()}@example.com", password_hash="digest", tenant_name="Model"
            )
            self.tenant, self.user = made.tenant.id, made.user.id
            run = await uow.workflow_runs.start("model", self.user, tenant_id=self.tenant)
            self.key = run.id

    def expect(self, call: Any, error: type[AgentDBError] | None) -> Any:
        """Run a verb; it returns, or raises the one error that it should."""

        async def unit() -> Any:
            async with self.database.begin(tenant=self.tenant) as uow:
                return await call(uow)

        coroutine: Coroutine[Any, Any, Any] = unit()
        if error is None:
            return self.runner.run(coroutine)
        with pytest.raises(error):
            self.runner.run(coroutine)
        return None

    @rule(status=st.sampled_from(["running", *ENDS]))
    def record(self, status: str) -> None:
        """A step gets the next number; a run that has ended takes none that runs."""
        late = status == "running" and self.model.status != "running"
        error = NotFoundError if self.model.deleted else InvalidTransitionError if late else None

        async def call(uow: UnitOfWork) -> Any:
            return await uow.workflow_run_steps.record(self.key, "s", "a", status)

        step = self.expect(call, error)
        if step is not None:
            assert step.sequence_no == len(self.keys)
            self.keys.append(step.id)
            self.model.steps.append(status)

    @rule(choice=st.integers(0, 100), status=st.sampled_from(ENDS))
    def finish_step(self, choice: int, status: str) -> None:
        """A step ends once."""
        if not self.keys:
            return
        number = choice % len(self.keys)
        ended = self.model.steps[number] not in {"running", status}
        error = NotFoundError if self.model.deleted else InvalidTransitionError if ended else None

        async def call(uow: UnitOfWork) -> Any:
            return await uow.workflow_run_steps.finish(self.keys[number], status)

        self.expect(call, error)
        if error is None:
            self.model.steps[number] = status

    @rule(status=st.sampled_from(ENDS))
    def finish(self, status: str) -> None:
        """The run ends once."""
        ended = self.model.status not in {"running", status}
        error = NotFoundError if self.model.deleted else InvalidTransitionError if ended else None

        async def call(uow: UnitOfWork) -> Any:
            return await uow.workflow_runs.finish(self.key, status)

        self.expect(call, error)
        if error is None and self.model.status == "running":
            self.model.end(status)

    @rule()
    def cancel(self) -> None:
        """A cancellation tells whether it is the one that did it."""
        ended = self.model.status not in {"running", "cancelled"}
        error = NotFoundError if self.model.deleted else InvalidTransitionError if ended else None

        async def call(uow: UnitOfWork) -> Any:
            return await cancel_run(uow, self.key)

        done = self.expect(call, error)
        if error is None:
            assert done == (self.model.status == "running")
            self.model.end("cancelled")

    @rule()
    def hide(self) -> None:
        """A deletion hides the run and its steps."""

        async def call(uow: UnitOfWork) -> Any:
            return await soft_delete_run(uow, self.key, self.user)

        assert self.expect(call, None) == (not self.model.deleted)
        self.model.deleted = True

    @rule()
    def restore(self) -> None:
        """All that was hidden is back."""

        async def call(uow: UnitOfWork) -> Any:
            return await restore_run(uow, self.key)

        assert self.expect(call, None).deleted_at is None
        self.model.deleted = False

    @invariant()
    def is_as_the_model_says(self) -> None:
        """The stored rows are those of the model, and a search shows the run while it is there."""

        async def call(uow: UnitOfWork) -> Any:
            found = await uow.workflow_runs.with_steps(self.key, include_deleted=True)
            return found, (await uow.workflow_runs.search()).items

        (run, steps), shown = self.expect(call, None)
        assert (run.status, run.deleted_at is not None) == (self.model.status, self.model.deleted)
        assert (run.ended_at is None) == (run.status == "running")
        assert [step.status for step in steps] == self.model.steps
        assert {step.deleted_at for step in steps} <= {run.deleted_at}
        counts = [item.step_count for item in shown]
        assert counts == ([] if self.model.deleted else [len(steps)])


@pytest.mark.agentdb_commits
def test_a_run_behaves_as_its_model(agentdb_database: Database) -> None:
    """Steps, ends, cancellations, deletions and restorations, in any order."""
    run_machine(Workflow, agentdb_database, steps=20, examples=25)
