"""A second database, beside the one of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentdb import Database
from agentdb.testing import Templates, finish


@pytest.fixture(params=["sqlite", "postgres"])
def elsewhere(request: pytest.FixtureRequest, agentdb_templates: Templates) -> Iterator[Database]:
    """An empty migrated database of either kind."""
    if request.param not in agentdb_templates.backends:
        pytest.skip(f"the session does not test {request.param}")
    template = agentdb_templates[request.param]
    url = template.clone()
    database = Database(url)
    yield database
    finish(database.dispose())
    template.drop(url)
