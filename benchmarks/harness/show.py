"""Results on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.harness.cases import Comparison

HEAD = ("case", "per second", "ratio", "least … most", "client CPU, µs", "CPU ratio")


def rows(found: Comparison) -> list[tuple[str, ...]]:
    """Return the cells of each case."""
    return [_row(found, name) for name in found.turns]


def _row(found: Comparison, name: str) -> tuple[str, ...]:
    ratio = found.ratio(name)
    spread = f"{figure(ratio.least)} … {figure(ratio.most)}"
    cost = f"{found.cost(name):,.0f}"
    cpu = figure(found.cpu_ratio(name))
    return (name, figure(found.rate(name)), figure(ratio.median), spread, cost, cpu)


def figure(value: float) -> str:
    """Return a number with as many digits as mean something."""
    if value >= 100:  # noqa: PLR2004 -- three digits mean something
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 -- the same


def show(found: Comparison) -> None:
    """Print a comparison."""
    table = Table(*HEAD, title=f"{found.title} ({found.unit})")
    for row in rows(found):
        table.add_row(*row)
    Console(width=110).print(table)
