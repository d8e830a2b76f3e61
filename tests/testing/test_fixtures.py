from __future__ import annotations

import pytest

QUIET = ["-q", "-W", "error", "-p", "no:pytest_alembic", "-p", "no:randomly"]
MODES = ["-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function"]


def test_a_project_on_sqlite_alone_skips_broken_connections(pytester: pytest.Pytester) -> None:
    """There is no connection to break; budgets and clocks work as everywhere."""
    pytester.makepyfile(
        """
        from datetime import timedelta

        async def test_proxy(agentdb_fault_proxy, agentdb_database):
            raise AssertionError

        async def test_budget(agentdb_queries, agentdb_uow):
            with agentdb_queries(max=1):
                await agentdb_uow.agent_conversations.count()

        async def test_clock(agentdb_uow, agentdb_freeze_now):
            before = await agentdb_uow.read_clock()
            agentdb_freeze_now.advance(timedelta(hours=1))
            assert await agentdb_uow.read_clock() == before + timedelta(hours=1)
        """
    )

    options = [*QUIET, *MODES, "-o", "asyncio_mode=auto", "--agentdb-backend=sqlite"]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=2, skipped=1)


def test_a_fixture_can_be_overridden(pytester: pytest.Pytester) -> None:
    """A project chooses another clock for all its units."""
    pytester.makepyfile(
        """
        from datetime import UTC, datetime
        import pytest

        START = datetime(2030, 1, 1, tzinfo=UTC)

        @pytest.fixture
        def agentdb_clock():
            return lambda: START

        async def test_clock(agentdb_uow, agentdb_database, agentdb_tenant):
            assert await agentdb_uow.read_clock() == START
            async with agentdb_database.begin(tenant=agentdb_tenant.id) as unit:
                assert await unit.read_clock() == START
        """
    )

    options = [*QUIET, *MODES, "-o", "asyncio_mode=auto", "--agentdb-backend=sqlite"]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
