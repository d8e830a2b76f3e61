from __future__ import annotations

import asyncio
import random
import signal
import sys
from uuid import UUID

import pytest

from agentdb.crypto import rotate_keys
from agentdb.database import Database
from agentdb.errors import NotFoundError
from agentdb.models import UserMfaMethod
from agentdb.testing import Factory, Pause, StepRunner, run_concurrently
from tests.crypto.rings import BOTH, KEYS, NEW, OLD, SECRET, enroll, opened
from tests.sizes import Size

pytestmark = pytest.mark.agentdb_commits

KILLED = """
import asyncio, os, signal, sys
from agentdb.crypto import KeyRing, rotate_keys

class Fatal(KeyRing):
    __slots__ = ()
    seen = 0

    def rotate(self, *values, **more):
        Fatal.seen += 1
        if Fatal.seen == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().rotate(*values, **more)

url, *keys = sys.argv[1:]
ring = Fatal({key: bytes.fromhex(text) for key, text in (each.split(":") for each in keys)})
asyncio.run(rotate_keys(url, ring, batch=2))
"""


async def store_secret(database: Database, method: UserMfaMethod, stored: bytes) -> None:
    """Replace the secret of a second factor."""
    async with database.begin_system(reason="test") as uow:
        await uow.user_mfa_methods.update(method.id, secret_encrypted=stored)


@pytest.mark.skipif(sys.platform == "win32", reason="the platform has no SIGKILL")
async def test_a_killed_run_is_run_again(
    agentdb_url: str, agentdb_database: Database, agentdb_make: Factory
) -> None:
    """Whole batches were committed, no secret is lost, and the next run does the rest."""
    enroll(agentdb_make, count=7)
    keys = [f"{key_id}:{KEYS[key_id].hex()}" for key_id in BOTH.key_ids]

    command = [sys.executable, "-c", KILLED, agentdb_url, *keys]
    process = await asyncio.create_subprocess_exec(*command)

    assert await process.wait() == -signal.SIGKILL
    secrets = [f"secret-{number}" for number in range(7)]
    assert sorted(await opened(agentdb_database, BOTH)) == secrets
    report = await rotate_keys(agentdb_database, BOTH, batch=2)
    assert report.counts == {"rotated": 3, "current": 4, "foreign": 0, "unopened": 0}
    assert sorted(await opened(agentdb_database, NEW)) == secrets


async def test_several_runs_at_once_share_the_work(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """All succeed, and each value is rotated by one of them."""
    enroll(agentdb_make, count=20)

    async def rotate(number: int) -> int:
        report = await rotate_keys(agentdb_database, BOTH, batch=number + 2)
        return report.counts["rotated"]

    outcomes = await run_concurrently(4, rotate, database=agentdb_database)

    assert outcomes.errors == []
    assert sum(outcomes.results) == 20
    assert len(await opened(agentdb_database, NEW)) == 20


async def test_a_value_that_is_being_written_is_waited_for(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """The new secret stays, and comes under the primary key as well: nothing is left behind."""
    (method,) = enroll(agentdb_make)
    fresh = OLD.encrypt("fresh", SECRET, owner=method.user_id)

    async def write(pause: Pause) -> int:
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.user_mfa_methods.update(method.id, secret_encrypted=fresh)
            await pause()
        return 0

    async def rotate(_: Pause) -> int:
        report = await rotate_keys(agentdb_database, BOTH)
        return report.counts["rotated"]

    async with StepRunner(agentdb_database, write=write, rotate=rotate) as runner:
        assert await runner.run(["write", "rotate"]) == ["paused", "waiting"]
        results = await runner.finish()

    assert results["rotate"] == 1
    assert await opened(agentdb_database, NEW) == ["fresh"]


async def test_a_row_that_is_being_deleted_is_not_counted(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """It is gone when its turn comes."""
    gone, _ = enroll(agentdb_make, count=2)

    async def delete(pause: Pause) -> int:
        async with agentdb_database.begin_system(reason="test") as uow:
            await uow.user_mfa_methods.delete(gone.id)
            await pause()
        return 0

    async def rotate(_: Pause) -> int:
        report = await rotate_keys(agentdb_database, BOTH)
        return sum(report.counts.values())

    async with StepRunner(agentdb_database, delete=delete, rotate=rotate) as runner:
        assert await runner.run(["delete", "rotate"]) == ["paused", "waiting"]
        results = await runner.finish()

    assert results["rotate"] == 1


async def test_rotations_never_undo_what_is_written(
    agentdb_database: Database, agentdb_make: Factory, size: Size
) -> None:
    """Two run amid writers, some with the old primary key, and deletions: the last write wins."""
    methods = enroll(agentdb_make, count=12)
    last: dict[UUID, str | None] = {m.id: f"secret-{n}" for n, m in enumerate(methods)}
    rounds = size(6, full=500)

    async def write(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 -- repeatable, no secret
        for turn in range(rounds):
            # Each writer has rows of its own, so that the last write is known.
            method = methods[number + 4 * chance.randrange(3)]
            ring, secret = chance.choice((OLD, BOTH)), f"{number}-{turn}"
            sealed = ring.encrypt(secret, SECRET, owner=method.user_id)
            try:
                await store_secret(agentdb_database, method, sealed)
            except NotFoundError:
                assert last[method.id] is None
            else:
                last[method.id] = secret
            if chance.random() < 1 / rounds:
                async with agentdb_database.begin_system(reason="test") as uow:
                    await uow.user_mfa_methods.delete(method.id)
                last[method.id] = None

    async def rotate(number: int) -> None:
        for _ in range(rounds):
            report = await rotate_keys(agentdb_database, BOTH, batch=number)
            assert report.unopened == ()

    async def work(number: int) -> None:
        await (write(number) if number < 4 else rotate(number))

    outcomes = await run_concurrently(6, work, database=agentdb_database)
    assert outcomes.errors == []
    await rotate_keys(agentdb_database, BOTH)

    kept = sorted(secret for secret in last.values() if secret is not None)
    assert sorted(await opened(agentdb_database, NEW)) == kept


async def test_a_dry_run_waits_for_nobody(
    agentdb_database: Database, agentdb_make: Factory
) -> None:
    """It reads one snapshot: beside a writer, on SQLite too, and sees what is committed."""
    (method,) = enroll(agentdb_make)
    async with agentdb_database.begin_system(reason="test") as uow:
        await uow.user_mfa_methods.update(method.id, secret_encrypted=None)

        report = await rotate_keys(agentdb_database, BOTH, dry_run=True)

    assert report.counts["rotated"] == 1
