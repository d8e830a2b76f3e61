"""Many processes upgrade one database at once: one applies, all end well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentdb import migrate
from agentdb.testing import Template
from tests.migrations.crowd import Job, Outcome, run
from tests.migrations.dumps import dump, versions
from tests.migrations.traps import Trap
from tests.sizes import Size

ALL = [step.revision for step in migrate.history()]
KILLED = -9
MIDDLE = "CREATE TABLE containers"


@pytest.fixture
def expected(agentdb_template: Template) -> list[tuple[str, ...]]:
    """The schema that one upgrader alone makes."""
    url = agentdb_template.empty()
    migrate.upgrade(url)
    found = dump(url)
    agentdb_template.drop(url)
    return found


def those_that_applied(outcomes: list[Outcome]) -> list[list[str]]:
    """Return what each process applied that applied anything."""
    return [outcome.applied for outcome in outcomes if outcome.applied]


@pytest.mark.parametrize("behind", [len(ALL), 1, 0], ids=["fresh", "one behind", "at head"])
def test_one_of_many_upgraders_applies_and_all_end_well(
    agentdb_empty_url: str, behind: int, size: Size, expected: list[tuple[str, ...]]
) -> None:
    """From nothing, from one revision behind and from the head, each revision is applied once."""
    done, missing = ALL[: len(ALL) - behind], ALL[len(ALL) - behind :]
    if done:
        migrate.upgrade(agentdb_empty_url, done[-1])

    outcomes = run(*[Job(url=agentdb_empty_url)] * size(16, full=64))

    assert {outcome.exit_code for outcome in outcomes} == {0}, outcomes
    assert those_that_applied(outcomes) == ([missing] if missing else [])
    assert versions(agentdb_empty_url) == ALL[-1:]
    assert dump(agentdb_empty_url) == expected


def test_when_the_first_is_killed_another_finishes(
    agentdb_empty_url: str, size: Size, tmp_path: Path, expected: list[tuple[str, ...]]
) -> None:
    """SIGKILL in the middle of the upgrade costs the others a turn, and nothing else."""
    trap = Trap(at=MIDDLE, claim=tmp_path / "caught")

    outcomes = run(*[Job(url=agentdb_empty_url, trap=trap)] * size(16, full=64))

    codes = sorted(outcome.exit_code or 0 for outcome in outcomes)
    assert codes == [KILLED, *[0] * (len(outcomes) - 1)], outcomes
    assert those_that_applied(outcomes) == [ALL]
    assert versions(agentdb_empty_url) == ALL[-1:]
    assert dump(agentdb_empty_url) == expected


@pytest.mark.agentdb_only("postgres")
def test_upgraders_of_schemas_side_by_side_apply_once_in_each(
    agentdb_empty_url: str, size: Size
) -> None:
    """Those of one schema wait for each other; each schema gets all tables, and public none."""
    schemas = ["first", "Second", "user"]
    jobs = [Job(url=agentdb_empty_url, schema=name) for name in schemas]

    outcomes = run(*jobs * (size(15, full=63) // len(schemas)))

    assert {outcome.exit_code for outcome in outcomes} == {0}, outcomes
    for number, name in enumerate(schemas):
        assert those_that_applied(outcomes[number :: len(schemas)]) == [ALL]
        assert versions(agentdb_empty_url, name) == ALL[-1:]
        assert len({line[1] for line in dump(agentdb_empty_url, name) if line[0] == "column"}) == 47
    assert dump(agentdb_empty_url) == []


def test_threads_upgrade_databases_of_their_own(
    agentdb_template: Template, expected: list[tuple[str, ...]]
) -> None:
    """Eight threads of one process do not mix what Alembic keeps for the whole process."""
    urls = [agentdb_template.empty() for _ in range(8)]
    with ThreadPoolExecutor(len(urls)) as threads:
        applied = list(threads.map(migrate.upgrade, urls))

    assert [[step.revision for step in steps] for steps in applied] == [ALL] * len(urls)
    for url in urls:
        assert dump(url) == expected
        agentdb_template.drop(url)
