"""Each workload runs, at tiny sizes; what it measures is no matter of a test."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from agentdb.testing import PostgresTemplate
from benchmarks.harness import Bench, fresh_template
from benchmarks.harness.report import pages
from benchmarks.workloads import WORKLOADS, find


@pytest.fixture(scope="module")
def template() -> Generator[PostgresTemplate]:
    """Yield the one server of all workloads."""
    with fresh_template() as template:
        yield template


@pytest.mark.parametrize("name", WORKLOADS)
async def test_a_workload_runs(name: str, template: PostgresTemplate) -> None:
    """The baseline and agentdb have their turns; who is not installed is named, and no obstacle."""
    async with Bench(quick=True, rounds=1, template=template) as bench:
        await find(name).measure(bench)

    assert bench.comparisons
    for comparison in bench.comparisons:
        assert "agentdb" in comparison.roles.values()
        assert all(len(turns) == 1 for turns in comparison.turns.values())
    assert all(reason.startswith("not installed") for reason in bench.absent.values())


@pytest.mark.parametrize("name", WORKLOADS)
def test_goals_are_about_cases_of_their_workload(name: str) -> None:
    """A workload says what it measures; a goal is an agentdb case against another one."""
    workload = find(name)

    assert workload.title
    for goal in workload.goals:
        assert goal.case.startswith("agentdb")
        assert goal.against != goal.case


def test_the_pages_show_the_kept_results() -> None:
    """Figures of the documentation cannot differ from what was measured."""
    for page, text in pages().items():
        assert page.read_text("utf-8") == text, "run python -m benchmarks --pages"
