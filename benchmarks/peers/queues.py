"""Queues of jobs: procrastinate and pgqueuer.

procrastinate as of https://procrastinate.readthedocs.io/en/stable/howto/advanced/locks.html: jobs
with a lock run one at a time and in order, which is what runs of a conversation need; a worker
fetches a job and finishes it through the job manager. pgqueuer as of
https://janbjorge.github.io/pgqueuer/: over asyncpg, `enqueue`, `dequeue` and `log_jobs`, one
job at a time; it knows no order within a conversation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from psycopg.conninfo import conninfo_to_dict

from benchmarks.harness.servers import Raw, connect, plain
from benchmarks.peers import load

Shape = Sequence[tuple[int, int]]
"""How many conversations, and runs of each."""

_LOAD = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args)
    SELECT 'default', 'run', %(label)s || c, '{}'
    FROM generate_series(1, %(runs)s) n CROSS JOIN generate_series(1, %(conversations)s) c
    ORDER BY n, c
"""
_ENQUEUED = 10_000


@dataclass(frozen=True, slots=True)
class Procrastinate:
    """An application, its workers, and a connection to load its queue with."""

    app: Any
    workers: Sequence[int]
    raw: Raw

    async def load(self, shape: Shape) -> None:
        """Replace what is queued."""
        await self.raw.execute("TRUNCATE procrastinate_jobs CASCADE")
        for number, (conversations, runs) in enumerate(shape):
            values = {"label": f"{number}-", "conversations": conversations, "runs": runs}
            await self.raw.execute(_LOAD, values)
        await self.raw.execute("VACUUM ANALYZE procrastinate_jobs")

    async def cycle(self, worker: int) -> bool:
        """Fetch a job and finish it; return False where none is there."""
        manager = self.app.job_manager
        job = await manager.fetch_job(queues=None, worker_id=self.workers[worker])
        if job is None:
            return False
        status = load("procrastinate.jobs").Status.SUCCEEDED
        await manager.finish_job(job, status=status, delete_job=False)
        return True


@asynccontextmanager
async def procrastinate(url: str, workers: int) -> AsyncGenerator[Procrastinate]:
    """Yield an application with its tables in an empty database."""
    package = load("procrastinate")
    connector = package.PsycopgConnector(conninfo=plain(url), min_size=workers, max_size=workers)
    async with package.App(connector=connector).open_async() as app, await connect(url) as raw:
        await app.schema_manager.apply_schema_async()
        keys = [await app.job_manager.register_worker() for _ in range(workers)]
        yield Procrastinate(app, keys, raw)


@dataclass(frozen=True, slots=True)
class PgQueuer:
    """A connection for each worker."""

    queries: Sequence[Any]
    raw: Raw

    async def load(self, shape: Shape) -> None:
        """Replace what is queued."""
        await self.raw.execute("TRUNCATE pgqueuer")
        left = sum(conversations * runs for conversations, runs in shape)
        while left:
            some = min(left, _ENQUEUED)
            await self.queries[0].enqueue(["run"] * some, [b"{}"] * some, [0] * some)
            left -= some
        await self.raw.execute("VACUUM ANALYZE pgqueuer")

    async def cycle(self, worker: int) -> bool:
        """Take a job and log that it is done; return False where none is there."""
        limits = load("pgqueuer.ports.repository").EntrypointExecutionParameter(0)
        queries = self.queries[worker]
        jobs = await queries.dequeue(
            batch_size=1,
            entrypoints={"run": limits},
            queue_manager_id=uuid4(),
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta(minutes=5),
        )
        await queries.log_jobs([(job, "successful", None) for job in jobs])
        return bool(jobs)


@asynccontextmanager
async def pgqueuer(url: str, workers: int) -> AsyncGenerator[PgQueuer]:
    """Yield queries of workers, with the tables in an empty database, all of them logged."""
    driver, queries = load("pgqueuer.db").AsyncpgDriver, load("pgqueuer.queries").Queries
    asyncpg = load("asyncpg")
    place = conninfo_to_dict(plain(url))
    keys = {"host": place["host"], "database": place["dbname"], "user": place["user"]}
    async with AsyncExitStack() as opened, await connect(url) as raw:
        made: list[Any] = []
        for _ in range(workers):
            connection = await asyncpg.connect(**keys)
            opened.push_async_callback(connection.close)
            made.append(queries(driver(connection)))
        await made[0].install()
        yield PgQueuer(made, raw)
