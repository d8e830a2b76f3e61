"""Turns, ratios and goals."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.harness import Bench, Case, Comparison, Goal, peer_cases
from benchmarks.harness.cases import Turn
from benchmarks.harness.plots import plot_ratios
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.show import rows

SLOW, FAST = "slow", "agentdb"


def compared() -> Comparison:
    """Return two cases of three rounds, of which the second was disturbed as a whole."""
    slow = [Turn(10, 1.0, 0.1), Turn(10, 9.0, 0.1), Turn(10, 1.0, 0.1)]
    fast = [Turn(10, 0.5, 0.02), Turn(10, 3.0, 0.02), Turn(10, 0.5, 0.02)]
    turns, roles = {SLOW: slow, FAST: fast}, {SLOW: "baseline", FAST: "agentdb"}
    return Comparison("work", "operations", turns, roles)  # type: ignore[arg-type]


def counting(names: list[str], name: str) -> Case:
    """Return a case that tells when it has its turn."""

    async def run() -> int:
        names.append(name)
        return 1

    return Case(name, run)


async def test_every_case_has_its_turn_in_each_round_in_an_order_that_rotates() -> None:
    """After one turn to warm up."""
    names: list[str] = []

    found = await take_turns("work", "operations", [counting(names, n) for n in "abc"], rounds=3)

    assert "".join(names) == "abc" + "abc" + "bca" + "cab"
    assert [len(turns) for turns in found.turns.values()] == [3, 3, 3]


def test_ratios_are_taken_round_by_round() -> None:
    """What disturbs a whole round disturbs no ratio."""
    ratio = compared().ratio(FAST)

    assert (ratio.median, ratio.least, ratio.most) == pytest.approx((2.0, 2.0, 3.0))
    assert compared().cpu_ratio(FAST) == pytest.approx(0.2)
    assert compared().difference(FAST, SLOW) == pytest.approx(-50.0)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("work", SLOW, 1.9), True),
        (Goal("work", SLOW, 2.1), False),
        (Goal("work", SLOW, 0.3, measure="cpu"), True),
        (Goal("work", SLOW, 0.1, measure="cpu"), False),
        (Goal("work", SLOW, 0, measure="extra"), True),
        (Goal("work", SLOW, -60, measure="extra"), False),
    ],
)
def test_a_goal_is_judged_by_its_measure(goal: Goal, met: bool) -> None:
    """Rates have to reach their bound; CPU and milliseconds may not pass it."""
    found = goal.found(compared())

    assert found is not None
    assert goal.met(found) is met


def test_a_goal_against_who_did_not_run_has_no_figure() -> None:
    """It is neither reached nor missed."""
    assert Goal("work", "nobody", 1).found(compared()) is None


def test_rows_show_rate_ratio_spread_and_cost() -> None:
    """The first case is the measure of the others."""
    assert rows(compared())[1] == ("agentdb", "20.0", "2.00", "2.00 … 3.00", "2,000", "0.20")


@asynccontextmanager
async def opened(errors: Sequence[Exception]) -> AsyncGenerator[int]:
    """Yield a peer, or raise an error of opening it."""
    for error in errors:
        raise error
    yield 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModuleNotFoundError("no", name="peer"), "not installed: no module peer"),
        (RuntimeError("too old"), "does not work here: RuntimeError: too old"),
    ],
)
async def test_an_absent_peer_is_reported(error: Exception, reason: str) -> None:
    """With the reason; it has no case, and the others go on."""

    async def run(peer: int) -> int:
        return peer

    async with Bench() as bench:
        peer = await bench.open("the peer", opened([error]))

    assert bench.absent == {"the peer": reason}
    assert peer_cases("the peer", peer, run) == []


async def test_a_peer_that_is_there_has_a_case() -> None:
    """It stays open until the run ends."""

    async def run(peer: int, more: int) -> int:
        return peer + more

    async with Bench() as bench:
        peer = await bench.open("the peer", opened([]))
        (case,) = peer_cases("the peer", peer, run, 2)
        done = await case.run()

    assert (case.role, done) == ("peer", 3)
    assert bench.absent == {}


def test_plots_of_the_same_results_are_the_same(tmp_path: Path) -> None:
    """Neither dates nor random ids are in them."""
    pytest.importorskip("matplotlib")
    for name in ("first.svg", "second.svg"):
        plot_ratios([compared()], tmp_path / name)

    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
