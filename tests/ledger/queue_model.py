"""What the queue of runs is, without a database: a list, and the rules that its verbs follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 3
MAX_DEPTH = 4

WAITING = {"queued", "ready"}
HEADS = {"ready", "running"}
OVER = {"completed", "failed", "cancelled"}

Shown = tuple[int, int, str, int, str | None]
"""Number, conversation, state, attempts and the code of the last error of a run."""


@dataclass
class Run:
    """A run as the model knows it; runs are numbered from 0 in the order of their ids."""

    number: int
    conversation: int
    status: str = "queued"
    attempt: int = 0
    error: str | None = None
    started: datetime | None = None

    @property
    def shown(self) -> Shown:
        """What can be compared with a row."""
        return self.number, self.conversation, self.status, self.attempt, self.error


@dataclass
class QueueModel:
    """The rules, and the runs."""

    now: datetime
    runs: list[Run] = field(default_factory=list[Run])

    def enqueue(self, conversation: int) -> bool:
        """Queue a run; False if the queue is full."""
        own = self._of(conversation)
        if sum(run.status in WAITING for run in own) >= MAX_DEPTH:
            return False
        self.runs.append(Run(len(self.runs), conversation))
        self._promote(conversation)
        return True

    def claim(self, limit: int) -> list[int]:
        """Claim runs, and return their numbers."""
        for run in self._lapsed()[:limit]:
            if run.attempt >= MAX_ATTEMPTS:
                self._expire(run)
        lapsed = [run for run in self._lapsed() if run.attempt < MAX_ATTEMPTS][:limit]
        ready = [run for run in self.runs if run.status == "ready"][: limit - len(lapsed)]
        for run in (*lapsed, *ready):
            run.status, run.started = "running", self.now
            run.attempt += 1
        return sorted(run.number for run in (*lapsed, *ready))

    def recover(self) -> dict[str, int]:
        """End all leases that have lapsed, and count what became of them."""
        counts = {"ready": 0, "failed": 0, "promoted": 0}
        for run in self._lapsed():
            if run.attempt >= MAX_ATTEMPTS:
                counts["promoted"] += self._expire(run)
                counts["failed"] += 1
            else:
                self._end(run, "queued")
                counts["ready"] += 1
        return counts

    def refusal(self, number: int, attempt: int) -> str | None:
        """Why an attempt does not hold a run; None if it does."""
        run = self.runs[number]
        if run.status == "running" and run.attempt == attempt:
            return None
        if run.status == "cancelled":
            return "cancelled"
        over = run.status in OVER and run.attempt == attempt
        return "finished" if over else "reclaimed"

    def heartbeat(self, number: int) -> None:
        """Renew a lease."""
        self.runs[number].started = self.now

    def complete(self, number: int) -> None:
        """End a run."""
        self._end(self.runs[number], "completed")

    def fail(self, number: int, *, retry: bool) -> None:
        """Give a run up."""
        run = self.runs[number]
        run.error = "boom"
        again = retry and run.attempt < MAX_ATTEMPTS
        self._end(run, "queued" if again else "failed")

    def cancel(self, number: int) -> bool:
        """Cancel a run; False if it has ended."""
        run = self.runs[number]
        if run.status in OVER:
            return False
        self._end(run, "cancelled")
        return True

    def cancel_in(self, conversation: int, states: set[str]) -> int:
        """Cancel the runs of a conversation in some states."""
        chosen = [run for run in self._of(conversation) if run.status in states]
        for run in chosen:
            run.status = "cancelled"
        self._promote(conversation)
        return len(chosen)

    def requeue(self, number: int) -> bool:
        """Queue a run again; False if it is not one that can be."""
        run = self.runs[number]
        if run.status not in {"failed", "cancelled"}:
            return False
        run.status = "queued"
        for other in self._of(run.conversation):
            if other.status == "ready" and other.number > number:
                other.status = "queued"
        self._promote(run.conversation)
        return True

    def place(self, number: int) -> int:
        """Count what comes before a run."""
        run = self.runs[number]
        if run.status not in WAITING:
            return 0
        own = self._of(run.conversation)
        before = [r for r in own if r.status in WAITING and r.number < number]
        return len(before) + sum(r.status == "running" for r in own)

    def check(self) -> None:
        """Hold the model itself to the promises."""
        for conversation in {run.conversation for run in self.runs}:
            own = self._of(conversation)
            heads = [run for run in own if run.status in HEADS]
            waiting = [run for run in own if run.status == "queued"]
            assert len(heads) <= 1
            assert heads or not waiting
            if heads and heads[0].status == "ready":
                assert all(heads[0].number < run.number for run in waiting)

    def _of(self, conversation: int) -> list[Run]:
        return [run for run in self.runs if run.conversation == conversation]

    def _lapsed(self) -> list[Run]:
        due = self.now - LEASE
        found = [
            (run.started, run.number, run)
            for run in self.runs
            if run.status == "running" and run.started is not None and run.started <= due
        ]
        return [run for *_, run in sorted(found, key=lambda part: part[:2])]

    def _expire(self, run: Run) -> bool:
        run.error = "lease_expired"
        return self._end(run, "failed")

    def _end(self, run: Run, status: str) -> bool:
        run.status = status
        return self._promote(run.conversation)

    def _promote(self, conversation: int) -> bool:
        """Give a conversation a head if it lacks one; return whether it got one."""
        own = self._of(conversation)
        waiting = [run for run in own if run.status == "queued"]
        if not waiting or any(run.status in HEADS for run in own):
            return False
        waiting[0].status = "ready"
        return True
