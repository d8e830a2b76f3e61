"""Start a service: import agentdb, and upgrade a database where nothing is to do.

Importing is measured in interpreters of their own, against the libraries that it stands on. The
package alone loads nothing before a name is asked for; a service asks for `Database`, and so for
all models.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from functools import partial

from agentdb import migrate
from agentdb.migrate.connections import connected
from benchmarks.harness import Bench, Case, Goal, repeat

IMPORTS, UPGRADES = "import", "upgrade, nothing to do"
NOTHING, LIBRARIES = "nothing", "SQLAlchemy and psycopg"
CONNECT = "connect and ask"

USED = "agentdb, Database and NewMessage"

GOALS = (
    Goal(IMPORTS, LIBRARIES, 200, measure="extra"),
    Goal(IMPORTS, LIBRARIES, 200, case=USED, measure="extra"),
    Goal(UPGRADES, CONNECT, 15, measure="extra"),
)

PROGRAMS = {
    LIBRARIES: "import sqlalchemy, sqlalchemy.ext.asyncio, sqlalchemy.orm, psycopg",
    "agentdb": "import agentdb",
    USED: "from agentdb import Database, NewMessage",
    NOTHING: "pass",
}


async def interpret(program: str) -> None:
    """Run a program in an interpreter of its own, which keeps byte code as a service's does."""
    command = [sys.executable, "-c", program]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    await asyncio.to_thread(subprocess.run, command, check=True, env=kept)


def ask(url: str) -> None:
    """Connect as an upgrade does, and ask for something."""
    with connected(url) as connection:
        connection.exec_driver_sql("SELECT 1")


async def measure(bench: Bench) -> None:
    """Measure both, one after the other."""
    times = bench.size(2, 1)
    imports = [
        Case(
            name,
            partial(repeat, times, partial(interpret, program)),
            "agentdb" if name in {"agentdb", USED} else "baseline",
        )
        for name, program in PROGRAMS.items()
    ]
    await bench.compare(IMPORTS, imports, unit="interpreters")
    url = (await bench.place()).url
    times = bench.size(20, 1)
    upgrades = [
        Case(CONNECT, partial(repeat, times, lambda: asyncio.to_thread(ask, url)), "baseline"),
        Case("agentdb", partial(repeat, times, lambda: asyncio.to_thread(migrate.upgrade, url))),
    ]
    await bench.compare(UPGRADES, upgrades, unit="upgrades")
