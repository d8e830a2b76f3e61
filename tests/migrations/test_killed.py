"""A migration that is killed at any statement leaves nothing that the next one cannot finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from agentdb import migrate
from agentdb.testing import Template
from tests.migrations.crowd import Job, Outcome, run
from tests.migrations.dumps import dump, versions
from tests.migrations.traps import Trap
from tests.sizes import Size

ALL = [step.revision for step in migrate.history()]
KILLED = -9
AT_ONCE = 4


@pytest.fixture
def expected(agentdb_template: Template) -> Iterator[list[tuple[str, ...]]]:
    """The schema that an upgrade makes which nothing disturbs."""
    url = agentdb_template.clone()
    yield dump(url)
    agentdb_template.drop(url)


def sampled(count: int, size: Size) -> list[Trap]:
    """Return a trap at the first, the last and every tenth statement; at full size at all.

    It is before one and after the next, at full size both.
    """
    numbers = range(1, count + 1)
    chosen = sorted({1, *numbers[:: size(10, full=1)], count})
    if size.full:
        return [Trap(at=number, after=after) for number in chosen for after in (False, True)]
    return [Trap(at=number, after=bool(place % 2)) for place, number in enumerate(chosen)]


def batched_traps(traps: Sequence[Trap]) -> Iterator[Sequence[Trap]]:
    """Return a few traps at a time, for processes that run side by side."""
    return (traps[first : first + AT_ONCE] for first in range(0, len(traps), AT_ONCE))


def killed(jobs: Sequence[Job]) -> None:
    """Run the jobs, which all end by the signal."""
    outcomes: list[Outcome] = run(*jobs)
    assert [outcome.exit_code for outcome in outcomes] == [KILLED] * len(jobs), outcomes


def statements_of(job: Job) -> int:
    """Run a job to its end, and return how many statements it sent."""
    (outcome,) = run(job)
    assert outcome.answer is not None
    assert outcome.error is None, outcome
    return outcome.answer.statements


@pytest.mark.timeout(3600)
def test_after_an_upgrade_killed_at_any_statement_the_next_one_finishes(
    agentdb_template: Template, expected: list[tuple[str, ...]], size: Size
) -> None:
    """Killed before or after it, COMMIT included, on its own connection or that of the lock."""
    counted = agentdb_template.empty()
    traps = sampled(statements_of(Job(url=counted)), size)
    agentdb_template.drop(counted)
    for some in batched_traps(traps):
        urls = [agentdb_template.empty() for _ in some]
        killed([Job(url=url, trap=trap) for url, trap in zip(urls, some, strict=True)])
        for url, trap in zip(urls, some, strict=True):
            migrate.upgrade(url)
            assert dump(url) == expected, trap
            assert versions(url) == ALL[-1:], trap
            agentdb_template.drop(url)


@pytest.mark.timeout(3600)
def test_after_a_downgrade_killed_at_any_statement_the_next_one_finishes(
    agentdb_template: Template, size: Size
) -> None:
    """It ends with the tables of the revision that was asked for, and no others."""
    aim = ALL[5]
    counted = agentdb_template.clone()
    traps = sampled(statements_of(Job(url=counted, step="downgrade", revision=aim)), size)
    below = dump(counted)
    agentdb_template.drop(counted)
    for some in batched_traps(traps):
        urls = [agentdb_template.clone() for _ in some]
        killed(
            [
                Job(url=url, step="downgrade", revision=aim, trap=trap)
                for url, trap in zip(urls, some, strict=True)
            ]
        )
        for url, trap in zip(urls, some, strict=True):
            migrate.downgrade(url, aim)
            assert dump(url) == below, trap
            assert versions(url) == [aim], trap
            agentdb_template.drop(url)
