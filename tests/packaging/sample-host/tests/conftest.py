"""The tables of the host, beside those of agentdb in the database of each test."""

import pytest
from sqlalchemy import Connection

from helpdesk.models import Base


@pytest.fixture(autouse=True)
def tables(agentdb_sync_connection: Connection) -> None:
    """Create them; they are gone when the test ends, as everything else is."""
    Base.metadata.create_all(agentdb_sync_connection)
    agentdb_sync_connection.commit()
