"""What a unit of one tenant leaves on a pooled connection for that of the next."""

from __future__ import annotations

import pytest

from agentdb.tenancy import binding
from agentdb.tenancy.binding import TELL
from tests.sizes import Size
from tests.tenancy.fuzz.arena import Arena, Stored
from tests.tenancy.fuzz.contents import contents_of
from tests.tenancy.fuzz.pool import strays

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(36_000),
    pytest.mark.filterwarnings("ignore:.* statement has a cartesian product"),
]


async def test_a_pooled_connection_forgets_its_tenant(
    stored: Stored, arena: Arena, size: Size
) -> None:
    """However a unit ends, also cancelled in a statement, the next one sees its own rows alone."""
    assert await strays(stored, arena, size(150, full=20_000)) == []
    async with arena.shared.connect() as connection:
        assert await contents_of(connection) == stored.content


@pytest.mark.agentdb_only("postgres")
async def test_a_tenant_that_outlives_its_transaction_is_found(
    stored: Stored, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above has power: it fails where the setting is one of the connection."""
    monkeypatch.setattr(binding, "TELL", TELL.replace(", true)", ", false)"))

    assert await strays(stored, arena, 20) != []
