"""Upgrades: of a fresh database, with nothing to do beyond the connection, and by 64 at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from statistics import median

from rich.console import Console
from rich.table import Table

from agentdb import migrate
from agentdb.migrate.connections import connected
from agentdb.testing import EmbeddedPostgres, PostgresTemplate, SqliteTemplate, Template

ROUNDS = 15
CROWDS = 3
CROWD = 64
PATIENCE = 60.0

# Of a process without threads, whose imports the measured ones then do not pay.
CONTEXT = get_context("fork")

Span = tuple[float, float]


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def connect(url: str) -> None:
    """Connect as an upgrade does, and ask for something."""
    with connected(url) as connection:
        connection.exec_driver_sql("SELECT 1")


@contextmanager
def fresh(template: Template) -> Generator[str]:
    """Yield the URL of an empty database."""
    url = template.empty()
    yield url
    template.drop(url)


def alone(template: Template) -> tuple[float, float, float]:
    """Return the medians of connecting, of upgrading from nothing, and of nothing to do."""
    rounds: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS + 1):
        with fresh(template) as url:
            upgrade = milliseconds(lambda: migrate.upgrade(url))
            again = milliseconds(lambda: migrate.upgrade(url))
            rounds.append((milliseconds(lambda: connect(url)), upgrade, again))
    connection, upgrade, again = (median(times) for times in zip(*rounds[1:], strict=True))
    return connection, upgrade, again


def join(url: str, gate: Barrier, spans: Queue[Span]) -> None:
    """Upgrade as one of many, and tell when."""
    gate.wait(PATIENCE)
    started = time.monotonic()
    migrate.upgrade(url)
    spans.put((started, time.monotonic()))


def together(template: Template) -> float:
    """Return how long a crowd takes, from the first start to the last end, in milliseconds."""
    gate, spans = CONTEXT.Barrier(CROWD), CONTEXT.Queue()
    with fresh(template) as url:
        crowd = [CONTEXT.Process(target=join, args=(url, gate, spans)) for _ in range(CROWD)]
        for process in crowd:
            process.start()
        found: list[Span] = [spans.get(timeout=PATIENCE) for _ in crowd]
        for process in crowd:
            process.join()
    return (max(ended for _, ended in found) - min(begun for begun, _ in found)) * 1000


def main() -> None:
    """Measure both databases."""
    crowded = f"{CROWD} at once"
    table = Table("ms", "connect", "from nothing", "nothing to do", "beyond connecting", crowded)
    for name, make in (
        ("SQLite", SqliteTemplate),
        ("PostgreSQL", lambda: PostgresTemplate(EmbeddedPostgres())),
    ):
        with closing(make()) as template:
            connection, upgrade, again = alone(template)
            crowd = median(together(template) for _ in range(CROWDS))
        times = (connection, upgrade, again, again - connection, crowd)
        table.add_row(name, *(f"{time:,.1f}" for time in times))
    Console().print(table)


if __name__ == "__main__":
    main()
