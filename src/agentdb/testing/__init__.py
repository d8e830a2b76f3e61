"""What the fixtures of :mod:`agentdb.pytest_plugin` are made of, for tests that need it by hand.

Databases for tests are copies of one that the migrations built, on SQLite and on a real PostgreSQL.
"""

from agentdb.testing.backends import backend_of, kill_backend
from agentdb.testing.cases import TenantCase
from agentdb.testing.clock import FrozenClock
from agentdb.testing.concurrency import Outcomes, run_concurrently
from agentdb.testing.factories import Factory, Maker
from agentdb.testing.isolation import Isolation, OwnDatabase, finish
from agentdb.testing.joined import JoinedConnection, OverlapError
from agentdb.testing.plans import (
    Plan,
    assert_plan_scans_nothing,
    assert_plan_uses_index,
    explain,
    explain_sync,
)
from agentdb.testing.policies import RoleUrls, under_policies
from agentdb.testing.proxy import FaultProxy
from agentdb.testing.servers import EmbeddedPostgres, postgres_url
from agentdb.testing.session import Templates
from agentdb.testing.statements import Queries, capture_statements, limit_statements
from agentdb.testing.steps import Pause, StepRunner, StepState
from agentdb.testing.templates import PostgresTemplate, SqliteTemplate, Template
from agentdb.testing.tenants import assert_tenant_isolated
from agentdb.testing.wire import Message

__all__ = [
    "EmbeddedPostgres",
    "Factory",
    "FaultProxy",
    "FrozenClock",
    "Isolation",
    "JoinedConnection",
    "Maker",
    "Message",
    "Outcomes",
    "OverlapError",
    "OwnDatabase",
    "Pause",
    "Plan",
    "PostgresTemplate",
    "Queries",
    "RoleUrls",
    "SqliteTemplate",
    "StepRunner",
    "StepState",
    "Template",
    "Templates",
    "TenantCase",
    "assert_plan_scans_nothing",
    "assert_plan_uses_index",
    "assert_tenant_isolated",
    "backend_of",
    "capture_statements",
    "explain",
    "explain_sync",
    "finish",
    "kill_backend",
    "limit_statements",
    "postgres_url",
    "run_concurrently",
    "under_policies",
]
