"""What a test costs on a database of its own: each isolation of the plugin, and pytest-postgresql.

Every case runs the same test many times in a fresh pytest: it stores a tenant in one unit of work
and counts the tenants in another. The time of a test is that between the ends of the first and the
last, over their number, so that starting and migrating are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from agentdb.testing import EmbeddedPostgres

TESTS = 60
ROUNDS = 5

HEAD = f"""
import pytest
from agentdb import Database

async def work(database):
    async with database.begin_system(reason="benchmark") as unit:
        await unit.tenant_accounts.create("Acme", "acme")
    async with database.read(reason="benchmark") as unit:
        assert await unit.tenant_accounts.count() == 1

many = pytest.mark.parametrize("number", range({TESTS}))
"""
OURS = f"""{HEAD}
@many
async def test_one(agentdb_database, number):
    await work(agentdb_database)
"""
COMMITS = OURS.replace("@many", "@many\n@pytest.mark.agentdb_commits")
THEIRS = f"""{HEAD}
@many
async def test_one(postgresql, number):
    found = postgresql.info
    url = f"postgresql://{{found.user}}@/{{found.dbname}}?host={{found.host}}&port={{found.port}}"
    async with Database(url) as database:
        await work(database)
"""
WATCH = """
import time
ended = []

def pytest_runtest_logfinish():
    ended.append(time.perf_counter())

def pytest_unconfigure():
    print(f"\\nper test: {1000 * (ended[-1] - ended[0]) / (len(ended) - 1)}")
"""
NOPROC = """
import os
from pytest_postgresql import factories
from agentdb import migrate

def load(*, host, port, user, dbname, **_):
    migrate.upgrade(f"postgresql://{user}@/{dbname}?host={host}&port={port}")

server = factories.postgresql_noproc(
    host=os.environ["SERVER"], port=5432, user=os.environ["OWNER"], load=[load]
)
postgresql = factories.postgresql("server")
"""
PROC = """
from pytest_postgresql import factories

server = factories.postgresql_proc()
postgresql = factories.postgresql("server")
"""


def pytest_run(tests: str, conftest: str = "", *options: str, **environment: str) -> str:
    """Run tests in a project of their own and return what pytest printed."""
    with TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(tests)
        Path(folder, "conftest.py").write_text(WATCH + conftest)
        command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p"]
        done = subprocess.run(  # noqa: S603 -- our own command
            [*command, "no:cacheprovider", *options, folder],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
    return done.stdout + done.stderr


def per_test(printed: str) -> float:
    """Return the milliseconds of a test, from what pytest printed."""
    if f"{TESTS} passed" not in printed:
        raise RuntimeError(printed)
    return float(printed.rpartition("per test: ")[2].split()[0])


def isolations(server: EmbeddedPostgres) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the cases by name."""
    found = make_url(server.url)
    url = f"--agentdb-backend={server.url}"
    sqlite = "--agentdb-backend=sqlite"
    yield "SQLite, rolled back", lambda: pytest_run(OURS, "", sqlite)
    yield "SQLite, a copy that commits", lambda: pytest_run(COMMITS, "", sqlite)
    yield "PostgreSQL, rolled back", lambda: pytest_run(OURS, "", url)
    yield "PostgreSQL, a clone that commits", lambda: pytest_run(COMMITS, "", url)
    if find_spec("pytest_postgresql") is not None:
        place = {"SERVER": str(found.query["host"]), "OWNER": str(found.username)}
        yield "pytest-postgresql, noproc", lambda: pytest_run(THEIRS, NOPROC, **place)


def measured(cases: dict[str, Callable[[], str]]) -> dict[str, list[float]]:
    """Run the cases in turns and return the milliseconds of each round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            times[name].append(per_test(case()))
    return times


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long a call takes, the median of the rounds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


def import_cost() -> float:
    """Return the milliseconds that importing the plugin takes after pytest; the median."""
    program = (
        "import pytest, time; started = time.perf_counter(); import agentdb.pytest_plugin;"
        "print(1000 * (time.perf_counter() - started))"
    )
    command = [sys.executable, "-c", program]
    times = [
        float(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 -- our own command
        for _ in range(ROUNDS)
    ]
    return median(times)


def show(times: dict[str, list[float]]) -> None:
    """Print milliseconds per test, and the ratio to a rollback on PostgreSQL."""
    table = Table("isolation", "ms a test", "ratio", title=f"{TESTS} tests, {ROUNDS} rounds")
    base = median(times["PostgreSQL, rolled back"])
    for name, found in times.items():
        table.add_row(name, f"{median(found):.1f}", f"{median(found) / base:.1f}")
    Console().print(table)


def peer_of_its_own() -> str:
    """Return what pytest-postgresql says when it is to start a server itself."""
    if find_spec("pytest_postgresql") is None:
        return "not installed"
    printed = pytest_run(THEIRS, PROC, "-x")
    if f"{TESTS} passed" in printed:
        return "runs"
    errors = [line for line in printed.splitlines() if line.startswith("E  ")]
    return errors[-1].removeprefix("E").strip() if errors else printed


def main() -> None:
    """Measure all of it."""
    server = EmbeddedPostgres()
    try:
        show(measured(dict(isolations(server))))
    finally:
        server.stop()
    print(f"pytest-postgresql with a server of its own: {peer_of_its_own()}")
    starts = seconds_of(lambda: EmbeddedPostgres().stop())
    print(f"starting and stopping the server: {starts:.2f} s")
    print(f"importing the plugin: {import_cost():.1f} ms")


if __name__ == "__main__":
    main()
