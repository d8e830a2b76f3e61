"""A migration that is killed at any statement leaves nothing that the next one cannot finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from agentdb import migrate
from agentdb.testing import Template
from tests.migrations.crowd import Job, run
from tests.migrations.dumps import dump, versions
from tests.migrations.traps import Trap
from tests.sizes import Size

ALL = [step.revision for step in migrate.history()]
BELOW = ALL[5]
KILLED = -9
AT_ONCE = 4


def traps(count: int, size: Size) -> Iterator[Sequence[Trap]]:
    """Yield a few traps at a time: at the first, the last and every tenth statement, or at all.

    Each is before a statement and the next one after; at full size both are at each.
    """
    numbers = range(1, count + 1)
    chosen = sorted({1, *numbers[:: size(10, full=1)], count})
    if size.full:
        found = [Trap(at=number, after=after) for number in chosen for after in (False, True)]
    else:
        found = [Trap(at=number, after=bool(place % 2)) for place, number in enumerate(chosen)]
    return (found[first : first + AT_ONCE] for first in range(0, len(found), AT_ONCE))


def assert_finished_by_the_next(
    new: Callable[[], str], job: Callable[..., Job], drop: Callable[[str], None], size: Size
) -> None:
    """Kill the job at every statement on a new database, and run it once more.

    Args:
        new: Makes a database.
        job: Makes the job of a database.
        drop: Deletes a database.
        size: How many statements it is killed at.
    """
    whole = new()
    (outcome,) = run(job(url=whole))
    assert outcome.answer is not None
    assert outcome.error is None
    expected = dump(whole), versions(whole)
    for some in traps(outcome.answer.statements, size):
        urls = [new() for _ in some]
        killed = run(*[job(url=url, trap=trap) for url, trap in zip(urls, some, strict=True)])
        assert [process.exit_code for process in killed] == [KILLED] * len(some), some
        finish(urls, job)
        for url, trap in zip(urls, some, strict=True):
            assert (dump(url), versions(url)) == expected, trap
            drop(url)
    drop(whole)


def finish(urls: Sequence[str], job: Callable[..., Job]) -> None:
    """Run the job where it was killed."""
    outcomes = run(*[job(url=url) for url in urls])
    assert [outcome.exit_code for outcome in outcomes] == [0] * len(urls), outcomes


@pytest.mark.timeout(7200)
def test_after_an_upgrade_killed_at_any_statement_the_next_one_finishes(
    agentdb_template: Template, size: Size
) -> None:
    """Killed before or after it, COMMIT included, on its own connection or that of the lock."""
    template = agentdb_template
    assert_finished_by_the_next(template.empty, Job, template.drop, size)


@pytest.mark.timeout(7200)
def test_after_a_downgrade_killed_at_any_statement_the_next_one_finishes(
    agentdb_template: Template, size: Size
) -> None:
    """It ends with the tables of the revision that was asked for, and no others."""
    template = agentdb_template
    job = partial(Job, step="downgrade", revision=BELOW)
    assert_finished_by_the_next(template.clone, job, template.drop, size)
