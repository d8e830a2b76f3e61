from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI, Request

from agentdb import Database, Settings
from agentdb.errors import PermissionDeniedError, SchemaVersionError
from agentdb.integrations.fastapi import install, lifespan
from agentdb.testing import RoleUrls, finish
from tests.integrations.host import TheDatabase, client_of

Open = Callable[..., Database]


@pytest.fixture
def opened() -> Iterator[Open]:
    """A function that makes databases, which are disposed of when the test has ended."""
    made: list[Database] = []

    def make(url: str, **options: Any) -> Database:
        made.append(Database(url, **options))
        return made[-1]

    yield make
    for database in made:
        finish(database.dispose())


async def connect(database: Database) -> None:
    """Leave a connection in the pool."""
    async with database.read(tenant=UUID(int=1)):
        pass


def idle(database: Database) -> int:
    """Return how many connections wait in the pool."""
    return int(database.engine.pool.status().partition("pool: ")[2].split()[0])


async def test_the_end_of_the_application_closes_the_connections(
    agentdb_url: str, opened: Open
) -> None:
    """Those that its requests have left in the pool."""
    database = opened(agentdb_url)
    app = FastAPI()
    install(app, database)

    async with app.router.lifespan_context(app):
        await connect(database)
        assert idle(database) == 1

    assert idle(database) == 0


async def test_a_schema_that_is_behind_stops_the_start(
    agentdb_empty_url: str, opened: Open
) -> None:
    """Nothing of the host runs, nothing is migrated, and no connection stays."""
    database = opened(agentdb_empty_url)
    began: list[FastAPI] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncGenerator[None]:
        began.append(app)
        yield

    app = FastAPI(lifespan=own)
    install(app, database)

    with pytest.raises(SchemaVersionError):
        async with app.router.lifespan_context(app):
            pytest.fail("it has started")

    assert (began, idle(database)) == ([], 0)
    assert (await database.health()).revision is None


async def test_the_lifespan_of_the_host_runs_inside(agentdb_url: str, opened: Open) -> None:
    """It finds a database that was checked, keeps its state, and can work until its end."""
    database = opened(agentdb_url)
    after: list[bool] = []

    @asynccontextmanager
    async def own(_: FastAPI) -> AsyncGenerator[dict[str, str]]:
        await connect(database)
        yield {"colour": "blue"}
        after.append(idle(database) == 1)

    app = FastAPI(lifespan=own)
    install(app, database)
    async with app.router.lifespan_context(app) as state:
        assert state == {"colour": "blue"}

    assert (after, idle(database)) == ([True], 0)


async def test_routers_that_come_later_run_inside(agentdb_url: str, opened: Open) -> None:
    """The order in which the host puts its application together does not matter."""
    database = opened(agentdb_url)
    after: list[bool] = []

    @asynccontextmanager
    async def own(_: Any) -> AsyncGenerator[None]:
        await connect(database)
        yield
        after.append(idle(database) == 1)

    app = FastAPI()
    install(app, database)
    app.include_router(APIRouter(lifespan=own))
    async with app.router.lifespan_context(app):
        pass

    assert (after, idle(database)) == ([True], 0)


async def test_a_host_may_compose_lifespans_itself(agentdb_url: str, opened: Open) -> None:
    """`lifespan` is what FastAPI takes, with and without another one inside."""
    database = opened(agentdb_url)

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        async with lifespan(database)(app) as state:
            assert state is None
            yield {"colour": "blue"}

    app = FastAPI(lifespan=lifespan(database, own))
    async with app.router.lifespan_context(app) as state:
        assert state == {"colour": "blue"}


async def test_a_mounted_application_has_its_own_database(
    agentdb_url: str, agentdb_empty_url: str, opened: Open
) -> None:
    """Each is installed on its own."""
    inner, outer = FastAPI(), FastAPI()
    databases = [opened(agentdb_url), opened(agentdb_empty_url)]

    def which(database: TheDatabase, request: Request) -> int:
        assert request.app in {inner, outer}
        return databases.index(database)

    for app, database in zip((outer, inner), databases, strict=True):
        install(app, database)
        app.get("/which")(which)
    outer.mount("/inner", inner)
    client = client_of(outer)

    assert (await client.get("/which")).json() == 0
    assert (await client.get("/inner/which")).json() == 1


@pytest.mark.agentdb_only("postgres")
@pytest.mark.parametrize("role", ["app", "superuser"])
async def test_policies_that_do_not_bind_stop_the_start(
    agentdb_role_urls: RoleUrls, opened: Open, role: str
) -> None:
    """Where the settings require them: an application that connects as a wrong role is refused."""
    settings = Settings(rls="require")
    database = opened(
        getattr(agentdb_role_urls, role), platform_url=agentdb_role_urls.platform, settings=settings
    )
    app = FastAPI()
    install(app, database)

    if role == "app":
        async with app.router.lifespan_context(app):
            pass
        return
    with pytest.raises(PermissionDeniedError, match="row-level security"):
        async with app.router.lifespan_context(app):
            pytest.fail("it has started")
