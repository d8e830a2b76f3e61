"""The pages of the documentation, from kept results: what was to be reached, and all figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Series
from benchmarks.harness.cases import Comparison
from benchmarks.harness.goals import Goal
from benchmarks.harness.plots import plot_ratios, plot_series
from benchmarks.harness.record import PAGES, all_series, comparisons, kept
from benchmarks.harness.show import HEAD, figure, rows
from benchmarks.workloads import WORKLOADS, Workload, find

_GOALS = ("workload", "case", "against", "goal", "measured", "reached")
_PLOTS = PAGES / "plots"
_SCALE = PAGES.parent / "explanation" / "scale.md"

Results = Mapping[Workload, dict[str, Any]]


def write_pages() -> None:
    """Write the page of the figures and the plots, and the tables of two other pages."""
    for page, text in pages().items():
        page.write_text(text, "utf-8")
    for workload, results in _found().items():
        known = list(comparisons(results).values())
        plot_ratios(known, _PLOTS / f"{workload.name}.svg")
        for series in all_series(results):
            plot_series(series, _PLOTS / _name(workload, series))


def pages() -> dict[Path, str]:
    """Return the text of each page, with the tables of the kept results."""
    found = _found()
    body = "\n".join(line for one, results in found.items() for line in _section(one, results))
    index, results = PAGES / "index.md", PAGES / "results.md"
    return {
        index: _filled(index, {"goals": _goals(found), "machine": _machine(found)}),
        results: f"# Results\n\n{_HEADER}\n{body.rstrip()}\n",
        _SCALE: _filled(_SCALE, {"growth": _growth(found), "sizes": _sizes(found)}),
    }


def _found() -> Results:
    return {find(name): results for name in WORKLOADS if (results := kept(name)) is not None}


def _filled(page: Path, parts: Mapping[str, str]) -> str:
    """Return a page with parts in place of what stands between the marks of each."""
    text = page.read_text("utf-8")
    for name, part in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n{part}\n{end}{after}"
    return text


_HEADER = """\
Rates are medians of the rounds, ratios are to the first case of a table, round by round, with the
least and the most beside their median. Client CPU is that of this process alone, for one operation.
How they were measured is on the [page before](index.md); the raw figures are the JSON beside it.
"""


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown; all columns but the first hold figures or short words."""
    rule = " | ".join(["---", *("---:" for _ in head[1:])])
    lines = [" | ".join(cells) for cells in (head, *body)]
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def _goals(found: Results) -> str:
    judged = [
        row
        for workload, results in found.items()
        for goal in workload.goals
        for row in _judged(goal, comparisons(results))
    ]
    return table(_GOALS, judged)


def _judged(goal: Goal, known: Mapping[str, Comparison]) -> Iterator[tuple[str, ...]]:
    comparison = known.get(goal.comparison)
    if comparison is None:
        return
    reached = goal.found(comparison)
    start = (goal.comparison, goal.case, goal.against, goal.text())
    if reached is None:
        yield (*start, "not run", "")
    else:
        yield (*start, goal.show(reached), "yes" if goal.met(reached) else "no")


def _machine(found: Results) -> str:
    facts: dict[str, str] = {}
    for results in found.values():
        facts.update(results["machine"])
    return table(("what", "which"), list(facts.items()))


def _growth(found: Results) -> str:
    """Return the cost of the hot verbs by the size of their tables."""
    series = [one for results in _of(found, "scale") for one in all_series(results)]
    return "\n\n".join(_costs(one) for one in series)


def _costs(series: Series) -> str:
    sizes = sorted({size for points in series.points.values() for size in points})
    head = [f"ms, {series.title}", *(f"{size:,}" for size in sizes), "last to first"]
    body = [
        (
            name,
            *(figure(points[size]) for size in sizes),
            figure(points[sizes[-1]] / points[sizes[0]]),
        )
        for name, points in series.points.items()
    ]
    return table(head, body)


def _sizes(found: Results) -> str:
    return "\n".join(f"- {fact}" for results in _of(found, "scale") for fact in results["facts"])


def _of(found: Results, name: str) -> list[dict[str, Any]]:
    return [results for workload, results in found.items() if workload.name == name]


def _name(workload: Workload, series: Series) -> str:
    return f"{workload.name}_by_{series.axis.split()[0]}.svg"


def _section(workload: Workload, results: dict[str, Any]) -> Iterator[str]:
    yield f"## {workload.title}\n"
    yield f"{workload.text}\n"
    known = list(comparisons(results).values())
    yield f"![Ratios]({_PLOTS.name}/{workload.name}.svg)\n"
    for series in all_series(results):
        place = f"{_PLOTS.name}/{_name(workload, series)}"
        yield f"![{series.title}, by {series.axis}]({place})\n"
    for comparison in known:
        yield f"### {comparison.title} ({comparison.unit})\n"
        yield table(HEAD, rows(comparison)) + "\n"
    for peer, reason in results["absent"].items():
        yield f"{peer} did not take part: {reason}\n"
    for fact in results["facts"]:
        yield f"- {fact}"
    yield (
        f"\n{results['rounds']} rounds.\n" if results["facts"] else f"{results['rounds']} rounds.\n"
    )
