"""Worker processes, as a host runs them: ``python -m agentdb worker``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.worker.handlers import GATE
from tests.worker.queue import until

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """One worker process; what it says goes to a file."""

    def __init__(self, url: str, folder: Path, function: str, *options: str) -> None:
        """Start it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{len(list(folder.glob('*.log')))}.log"
        command = [sys.executable, "-m", "agentdb", "--url", url, "worker"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENTDB_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, f"tests.worker.handlers:{function}", *options],
                cwd=ROOT,
                env={**kept, GATE: str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text("utf-8")

    async def says(self, text: str) -> None:
        """Wait until it has said something."""

        async def heard() -> bool:
            assert self.process.poll() is None or text in self.said, self.said
            return text in self.said

        await until(heard)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end, and return its exit code."""

        async def over() -> bool:
            return self.process.poll() is not None

        await until(over)
        return int(self.process.returncode)

    def end(self) -> None:
        """End it, stopped or not."""
        self.process.kill()
        self.process.wait()


@contextmanager
def started(url: str, folder: Path, function: str, *options: str) -> Generator[WorkerProcess]:
    """Yield a worker process, which is killed at the end if it still runs."""
    worker = WorkerProcess(url, folder, function, *options)
    try:
        yield worker
    finally:
        worker.end()
