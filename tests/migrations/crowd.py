"""Real processes that migrate at once, and traps that stop them where it hurts.

They are forked from a server process that has imported everything and holds no thread and no
connection, so that one costs milliseconds and all start at the same moment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Literal, Self

from agentdb import migrate
from agentdb.errors import AgentDBError
from tests.migrate.later import install
from tests.migrations.traps import Trap, arm

PATIENCE = 120.0
"""Seconds until a test gives its processes up."""

_PRELOADED = [
    "pytest",
    "agentdb.migrate.environment",
    "agentdb.models",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "tests.migrations.crowd",
]
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(_PRELOADED)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does.

    Attributes:
        url: The database.
        step: The function of `agentdb.migrate` that it calls.
        revision: Where to.
        schema: Schema of the tables.
        wait: Seconds that it waits for others.
        scripts: A folder of migrations instead of the project's own.
        trap: Where it meets a signal.
    """

    url: str
    step: Literal["upgrade", "downgrade"] = "upgrade"
    revision: str = "head"
    schema: str | None = None
    wait: float = PATIENCE
    scripts: Path | None = None
    trap: Trap = field(default_factory=Trap)


@dataclass(frozen=True)
class Answer:
    """What the call of one process gave.

    Attributes:
        applied: The revisions that it returned.
        error: The class of the error that it raised, and what it said.
        statements: How many statements it sent, COMMIT included.
    """

    applied: list[str]
    error: tuple[str, str] | None
    statements: int


@dataclass(frozen=True)
class Outcome:
    """How one process ended.

    Attributes:
        exit_code: 0, 1 after an error of ours, or the signal as a negative number.
        answer: None of one that was killed.
    """

    exit_code: int | None
    answer: Answer | None

    @property
    def applied(self) -> list[str]:
        """The revisions that it applied, as far as it could tell."""
        return self.answer.applied if self.answer else []

    @property
    def error(self) -> str | None:
        """The class of the error that it raised."""
        return self.answer.error[0] if self.answer and self.answer.error else None


class Crowd:
    """Processes that begin together; those that are left at the end are killed."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Start them."""
        # Kept: its semaphores are deleted with it, and a process may be slow to open them.
        self._gate = CONTEXT.Barrier(len(jobs))
        started = [_start(job, self._gate) for job in jobs]
        self.processes = [process for process, _ in started]
        self._answers = [answer for _, answer in started]

    def __enter__(self) -> Self:
        """Return the crowd."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End them all."""
        self.kill()
        for process, answer in zip(self.processes, self._answers, strict=True):
            process.close()
            answer.close()

    def outcomes(self, numbers: Sequence[int] | None = None) -> list[Outcome]:
        """Wait for the processes of these numbers, all by default, and tell how each ended."""
        chosen = range(len(self.processes)) if numbers is None else numbers
        deadline = monotonic() + PATIENCE
        for number in chosen:
            self.processes[number].join(max(0.0, deadline - monotonic()))
        return [self._outcome(number) for number in chosen]

    def go_on(self) -> list[Outcome]:
        """Wake those that stopped themselves, and wait for all."""
        deadline = monotonic() + PATIENCE
        while any(process.exitcode is None for process in self.processes):
            assert monotonic() < deadline, "a process did not end"
            for process in self.processes:
                if process.pid is not None and process.exitcode is None:
                    # Again and again: it may be just about to stop.
                    os.kill(process.pid, signal.SIGCONT)
                    process.join(0.1)
        return self.outcomes()

    def kill(self) -> None:
        """Kill them all."""
        for process in self.processes:
            process.kill()
            process.join()

    def _outcome(self, number: int) -> Outcome:
        pipe = self._answers[number]
        try:
            answer: Answer | None = pipe.recv() if pipe.poll() else None
        except EOFError:
            answer = None
        return Outcome(self.processes[number].exitcode, answer)


def run(*jobs: Job) -> list[Outcome]:
    """Run the processes to their end."""
    with Crowd(jobs) as crowd:
        return crowd.outcomes()


def _start(job: Job, gate: Barrier) -> tuple[ForkServerProcess, Pipe]:
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(job, gate, sender), daemon=True)
    process.start()
    sender.close()
    return process, receiver


def _work(job: Job, gate: Barrier, answer: Pipe) -> None:
    """Do one job in a process of its own."""
    if job.scripts is not None:
        install(job.scripts)
    count = arm(job.trap)
    gate.wait(PATIENCE)
    applied: list[str] = []
    failure: AgentDBError | None = None
    try:
        applied = _call(job)
    except AgentDBError as error:
        failure = error
    told = None if failure is None else (type(failure).__name__, str(failure))
    answer.send(Answer(applied, told, count()))
    answer.close()
    sys.exit(failure is not None)


def _call(job: Job) -> list[str]:
    step = migrate.upgrade if job.step == "upgrade" else migrate.downgrade
    limits = migrate.Limits(wait=job.wait)
    done = step(job.url, job.revision, schema=job.schema, limits=limits)
    return [revision.revision for revision in done]
