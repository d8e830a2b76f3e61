from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from agentdb.database import Database
from agentdb.models import TenantAccount
from tests.cli.command import agentdb, run, sentence
from tests.worker.handlers import GO
from tests.worker.processes import WorkerProcess, started
from tests.worker.queue import fill, row, until

LEASE = ("--lease", "1", "--poll", "0.05")


async def begun(folder: Path, key: int, attempt: int = 1) -> None:
    """Wait until a worker has begun with a run."""

    async def there() -> bool:
        return (folder / f"{key}-{attempt}").exists()

    await until(there)


@pytest.mark.agentdb_commits
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_worker(
    agentdb_url: str,
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """What runs ends, nothing else begins, and the exit code is 0."""
    first, second = await fill(agentdb_database, agentdb_tenant.id, 2)
    with started(agentdb_url, tmp_path, "gated", *LEASE) as worker:
        await begun(tmp_path, first)
        worker.send(number)
        await worker.says("stopping: 1 running")
        (tmp_path / GO).touch()
        assert await worker.ended() == 0, worker.said

    assert worker.said.splitlines() == ["working with 1 slots", "stopping: 1 running", "done"]
    assert (await row(agentdb_database, first)).status == "completed"
    assert (await row(agentdb_database, second)).status == "ready"


@pytest.mark.agentdb_commits
async def test_runs_that_outlast_the_drain_end_it_with_a_code_of_their_own(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, tmp_path: Path
) -> None:
    """They are ready for other workers at once."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with started(agentdb_url, tmp_path, "gated", *LEASE, "--drain", "0") as worker:
        await begun(tmp_path, key)
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 5, worker.said

    assert (await row(agentdb_database, key)).status == "ready"


@pytest.mark.agentdb_commits
async def test_a_second_signal_does_not_wait(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, tmp_path: Path
) -> None:
    """Whatever the time for draining."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with started(agentdb_url, tmp_path, "gated", *LEASE, "--drain", "1000") as worker:
        await begun(tmp_path, key)
        worker.send(signal.SIGTERM)
        await worker.says("stopping")
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 5, worker.said

    assert (await row(agentdb_database, key)).status == "ready"


@pytest.mark.agentdb_commits
async def test_the_run_of_a_killed_worker_runs_again(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, tmp_path: Path
) -> None:
    """Once its lease has ended, as the next attempt of another process."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with started(agentdb_url, tmp_path, "gated", *LEASE) as killed:
        await begun(tmp_path, key)
        killed.send(signal.SIGKILL)
        assert await killed.ended() == -signal.SIGKILL
    (tmp_path / GO).touch()
    with started(agentdb_url, tmp_path, "gated", *LEASE) as worker:
        await begun(tmp_path, key, 2)
        await completed(agentdb_database, key)
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0, worker.said

    assert (await row(agentdb_database, key)).attempt == 2


@pytest.mark.agentdb_commits
async def test_a_stopped_worker_that_comes_back_is_fenced_off(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, tmp_path: Path
) -> None:
    """Another has taken its run over and completed it; the trace is there once."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with started(agentdb_url, tmp_path, "gated", *LEASE) as late:
        await begun(tmp_path, key)
        late.send(signal.SIGSTOP)
        (tmp_path / GO).touch()
        with started(agentdb_url, tmp_path, "gated", *LEASE) as other:
            await begun(tmp_path, key, 2)
            await completed(agentdb_database, key)
            late.send(signal.SIGCONT)
            await late.says(f"run {key}: the claim of the run has ended")
            for worker in (late, other):
                await drained(worker)

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        said = [message.text for message in await uow.agent_messages.transcript("chat")]
    assert said == [str(key)]


@pytest.mark.agentdb_commits
@pytest.mark.agentdb_only("postgres")
async def test_a_worker_that_stops_with_a_run_in_its_hands_lets_it_go(
    agentdb_url: str, agentdb_database: Database, agentdb_tenant: TenantAccount, tmp_path: Path
) -> None:
    """The server ends its unit when the lease is over, so that another can take the run over."""
    (key,) = await fill(agentdb_database, agentdb_tenant.id)
    with started(agentdb_url, tmp_path, "holding", *LEASE) as late:
        await begun(tmp_path, key)
        late.send(signal.SIGSTOP)
        (tmp_path / GO).touch()
        with started(agentdb_url, tmp_path, "holding", *LEASE) as other:
            await completed(agentdb_database, key)
            late.send(signal.SIGCONT)
            for worker in (late, other):
                await drained(worker)

    async with agentdb_database.begin(tenant=agentdb_tenant.id) as uow:
        said = [message.text for message in await uow.agent_messages.transcript("chat")]
    assert said == [str(key)]


async def completed(database: Database, key: int) -> None:
    """Wait until a run is completed."""

    async def over() -> bool:
        return (await row(database, key)).status == "completed"

    await until(over)


async def drained(worker: WorkerProcess) -> None:
    """Let a worker come to its end."""
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0, worker.said


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("tests.worker.handlers", "expects MODULE:FUNCTION"),
        ("tests.worker.nowhere:work", "there is no module tests.worker.nowhere"),
        ("tests.worker.handlers:nothing", "has no coroutine function nothing"),
        ("tests.worker.handlers:plain", "has no coroutine function plain"),
        ("tests.worker.handlers:not_a_coroutine", "has no coroutine function not_a_coroutine"),
    ],
)
def test_a_function_that_cannot_be_called_is_a_wrong_call(function: str, told: str) -> None:
    """Before anything connects."""
    result = agentdb("worker", function)

    assert result.exit_code == 2
    assert told in result.stderr


def test_a_module_that_misses_another_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the host's defect, and keeps its traceback."""
    (tmp_path / "broken_handlers.py").write_text("import a_module_that_nobody_has\n", "utf-8")
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])

    result = run("worker", "broken_handlers:work")

    assert result.exit_code == 1
    assert "a_module_that_nobody_has" in result.stderr


def test_a_database_without_the_schema_is_refused(agentdb_empty_url: str) -> None:
    """With the code of a wrong schema, and without a look at the queue."""
    result = agentdb("worker", "tests.worker.handlers:hurried", url=agentdb_empty_url)

    assert "upgrade" in sentence(result, 3)


@pytest.mark.parametrize("option", ["--lease", "--poll", "--slots", "--max-attempts"])
def test_a_setting_of_nothing_is_a_wrong_call(option: str) -> None:
    """A lease, a slot, an attempt and a time between two looks are more than none."""
    result = agentdb("worker", "tests.worker.handlers:hurried", option, "0")

    assert result.exit_code == 2
