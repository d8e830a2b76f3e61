"""The workloads, by the names of their modules."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.harness.bench import Bench
from benchmarks.harness.goals import Goal

WORKLOADS = (
    "append_message",
    "append_ledger",
    "replay",
    "deep_page",
    "run_queue",
    "increment_usage",
    "bulk_load",
    "search",
    "look_up",
    "start",
    "row_level_security",
    "sqlite",
    "scale",
    "erase_tenant",
    "index_cost",
)


@dataclass(frozen=True, slots=True)
class Workload:
    """A module of this package that measures something.

    Attributes:
        name: Of the module.
        title: The first line of its docstring.
        text: The rest of it.
        goals: What is to be reached.
        measure: Measures it.
    """

    name: str
    title: str
    text: str
    goals: tuple[Goal, ...]
    measure: Callable[[Bench], Awaitable[None]]


def find(name: str) -> Workload:
    """Return a workload.

    Raises:
        SystemExit: There is none with this name.
    """
    if name not in WORKLOADS:
        raise SystemExit(f"no workload {name}: there are {', '.join(WORKLOADS)}")
    module: Any = import_module(f"benchmarks.{name}")
    title, _, text = (inspect.getdoc(module) or "").partition("\n\n")
    return Workload(name, title.rstrip("."), text, getattr(module, "GOALS", ()), module.measure)
