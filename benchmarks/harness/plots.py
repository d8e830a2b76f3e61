"""Plots of kept results, as SVG that is the same for the same results."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Series
from benchmarks.harness.cases import Comparison, Role
from benchmarks.harness.show import figure

_COLOURS: dict[Role, str] = {"baseline": "#8c8c8c", "agentdb": "#1f6fb4", "peer": "#d98a29"}
_LINES = ("#d98a29", "#3a8f5c", "#a04fa0", "#b8433a", "#1f6fb4", "#7a6a3a", "#3fa7a7", "#444444")
_STYLE = {
    # Without it the ids within an SVG differ at each run.
    "svg.hashsalt": "agentdb",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH = 7.5


def _pyplot() -> Any:
    """Return matplotlib, which has no types where it is not installed."""
    import_module("matplotlib").use("svg")
    pyplot: Any = import_module("matplotlib.pyplot")
    pyplot.rcParams.update(_STYLE)
    return pyplot


def plot_ratios(comparisons: Sequence[Comparison], file: Path) -> None:
    """Draw how many times faster each case was than the baseline of its comparison."""
    pyplot = _pyplot()
    heights = [0.7 + 0.28 * len(found.turns) for found in comparisons]
    drawing, axes = pyplot.subplots(
        len(comparisons),
        figsize=(_WIDTH, sum(heights)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, found in zip(axes[:, 0], comparisons, strict=True):
        _points(axis, found)
    axes[-1, 0].set_xlabel(
        "times the rate of the first case: the median, from the least to the most"
    )
    _write(pyplot, drawing, file)


def _points(axis: Any, found: Comparison) -> None:
    for place, name in enumerate(found.turns):
        ratio, colour = found.ratio(name), _COLOURS[found.roles[name]]
        axis.plot([ratio.least, ratio.most], [place, place], color=colour, linewidth=2)
        axis.plot([ratio.median], [place], marker="o", color=colour)
        text = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 7}
        axis.annotate(figure(ratio.median), (ratio.median, place), **text)
    names = list(found.turns)
    axis.axvline(1, color="black", linewidth=0.6)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.7)
    axis.grid(axis="x", linewidth=0.3)
    axis.set_title(found.title, loc="left", fontsize=9)


def plot_series(series: Series, file: Path) -> None:
    """Draw what an operation costs against what grows, both on scales of powers of ten."""
    pyplot = _pyplot()
    drawing, axis = pyplot.subplots(figsize=(_WIDTH, 4), layout="constrained")
    colours = cycle(_LINES)
    for name, points in series.points.items():
        sizes = sorted(points)
        costs = [points[size] for size in sizes]
        colour = _colour(name) or next(colours)
        axis.plot(sizes, costs, marker="o", markersize=3, color=colour, label=name)
    sizes = sorted({size for points in series.points.values() for size in points})
    # A scale of powers has no place for zero; below one it is linear.
    axis.set_xscale("symlog" if 0 in sizes else "log")
    axis.set_yscale("log")
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axis.xaxis.set_minor_formatter("")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.grid(axis="y", linewidth=0.3)
    axis.set_xlabel(series.axis)
    axis.set_ylabel("milliseconds for one, all clients together")
    axis.set_title(series.title, loc="left", fontsize=9)
    axis.legend(fontsize=8, frameon=False)
    _write(pyplot, drawing, file)


def _colour(name: str) -> str | None:
    """Return the colour of agentdb and of the drivers; others have none of their own."""
    if name.startswith("agentdb"):
        return _COLOURS["agentdb"]
    return _COLOURS["baseline"] if name.startswith(("psycopg", "sqlite3")) else None


def _write(pyplot: Any, drawing: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(file, metadata={"Date": None, "Creator": None})
    pyplot.close(drawing)
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join(line.rstrip() for line in lines) + "\n", "utf-8")
