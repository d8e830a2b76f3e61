"""Results as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Bench, Series
from benchmarks.harness.cases import Comparison, Turn
from benchmarks.harness.machine import machine
from benchmarks.workloads import Workload

PAGES = Path(__file__).parents[2] / "docs" / "benchmarks"
RESULTS = PAGES / "results"


def save(workload: Workload, bench: Bench) -> Path:
    """Write what a run has found."""
    found = {
        "workload": workload.name,
        "rounds": bench.rounds,
        "machine": machine() | ({"PostgreSQL": bench.server} if bench.server else {}),
        "comparisons": [_flat(comparison) for comparison in bench.comparisons],
        "series": [asdict(series) for series in bench.series],
        "absent": bench.absent,
        "facts": bench.facts,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{workload.name}.json"
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return file


def _flat(comparison: Comparison) -> dict[str, Any]:
    turns = {
        name: [[turn.operations, round(turn.seconds, 6), round(turn.cpu, 6)] for turn in taken]
        for name, taken in comparison.turns.items()
    }
    return {
        "title": comparison.title,
        "unit": comparison.unit,
        "roles": comparison.roles,
        "turns": turns,
    }


def kept(name: str) -> dict[str, Any] | None:
    """Return the results of a workload, None where none are kept."""
    file = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(file.read_text("utf-8")) if file.exists() else None
    return found


def comparisons(found: dict[str, Any]) -> dict[str, Comparison]:
    """Return the comparisons of kept results, by title."""
    return {one["title"]: _whole(one) for one in found["comparisons"]}


def _whole(one: dict[str, Any]) -> Comparison:
    turns = {name: [Turn(*turn) for turn in taken] for name, taken in one["turns"].items()}
    return Comparison(one["title"], one["unit"], turns, one["roles"])


def all_series(found: dict[str, Any]) -> list[Series]:
    """Return the series of kept results."""
    return [
        Series(
            one["title"],
            one["axis"],
            {
                case: {int(size): cost for size, cost in points.items()}
                for case, points in one["points"].items()
            },
        )
        for one in found["series"]
    ]
