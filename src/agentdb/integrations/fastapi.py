"""A FastAPI application on a database: a unit of work for each request.

``install`` gives an application its database, ``get_uow`` its endpoints their units of work. Needs
the extra ``fastapi``.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.params import Depends
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Lifespan

from agentdb.commits import to_the_end
from agentdb.database import Database
from agentdb.errors import (
    AgentDBError,
    ConfigurationError,
    ResyncRequiredError,
    TenantRequiredError,
)
from agentdb.integrations.answers import RETRY_AFTER, STATUSES, body_of, is_told, status_of
from agentdb.ledger.tail import Tail
from agentdb.unit_of_work import UnitOfWork

TenantResolver = Callable[..., UUID | Awaitable[UUID]]
"""Tells the tenant of a request; it is a dependency of FastAPI, with parameters of its own."""

_Begin = Callable[..., AsyncGenerator[UnitOfWork]]

_log = logging.getLogger(__name__)


def install(app: FastAPI, database: Database) -> None:
    """Let *app* work on *database*; before it starts.

    `get_database` finds it, `lifespan` goes around what the application does when it starts and
    ends, and the errors of `agentdb.integrations.answers.STATUSES` become responses. A handler that
    the host has set for one of them stays. An application that is mounted in another one is
    installed on its own; Starlette runs the lifespan of the outer one alone.
    """
    app.state.agentdb = database
    app.router.lifespan_context = lifespan(database, app.router.lifespan_context)
    for kind in STATUSES:
        app.exception_handlers.setdefault(kind, answer)


def lifespan(database: Database, inner: Lifespan[FastAPI] | None = None) -> Lifespan[FastAPI]:
    """Return a lifespan that refuses a wrong schema, and in the end closes the connections.

    Nothing is migrated. With ``Settings(rls="require")`` it also refuses a PostgreSQL database
    whose policies do not hold.

    Args:
        database: The database; it is disposed of also when the start fails.
        inner: The lifespan of the host, which runs inside: it finds a checked database, and its
            state is that of the application.

    Returns:
        For ``FastAPI(lifespan=…)``. It raises, before the first request:
        SchemaVersionError: As of `Database.require_current`.
        PermissionDeniedError: As of `Database.require_policies`.
        UnavailableError: The database cannot be reached.
    """

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncGenerator[Any]:  # the state of the host, if it has one
        async with database:
            await database.require_current()
            await _require_policies(database)
            if inner is None:
                yield None
                return
            async with inner(app) as state:
                yield state

    return run


async def _require_policies(database: Database) -> None:
    if database.settings.rls == "require" and database.url.get_backend_name() == "postgresql":
        await database.require_policies()


def get_database(connection: HTTPConnection) -> Database:
    """Return the database of the application; a dependency, of requests and of web sockets.

    For what needs more than one unit: `Database.run`, `Database.tail`, a web socket.

    Raises:
        ConfigurationError: `install` was not called on the application.
    """
    database: Database | None = getattr(connection.app.state, "agentdb", None)
    if database is None:
        raise ConfigurationError("call agentdb.integrations.fastapi.install(app, database)")
    return database


def get_uow(tenant: TenantResolver, *, read_only: bool = False) -> Depends:
    """Return the dependency on a unit of work of the tenant of the request.

    ``Uow = Annotated[UnitOfWork, get_uow(tenant_of)]`` is the type of a parameter. The unit begins
    when *tenant* has answered, once for a request however many dependencies ask for it. It commits
    when the endpoint has returned and the response is made, before any of it is sent: who reads a
    response can rely on it, and a COMMIT that fails is an error response. Any exception rolls it
    back, with HTTPException, a response that is not valid and a cancelled request.

    Units do not outlast the endpoint: the body of a stream, background tasks and web sockets take
    `get_database`, and units of their own.

    Args:
        tenant: Tells the tenant; FastAPI resolves its parameters. What it raises, such as
            ``HTTPException(401)``, is the response, and nothing has been sent to the database.
        read_only: Sees one snapshot and writes nothing, as `Database.read`: it waits for no writer.
    """
    return Depends(_of_tenant(tenant, read_only=read_only), scope="function")


def get_system_uow(reason: str, *, read_only: bool = False) -> Depends:
    """Return the dependency on a unit of work that reaches across tenants; else as `get_uow`.

    It does not ask who is there: give the endpoint a dependency that refuses others.

    Args:
        reason: Why; it is logged with each unit.
        read_only: As of `get_uow`.
    """
    return Depends(_of_system(reason, read_only=read_only), scope="function")


# FastAPI knows a dependency by its function: the same choice is the same unit of a request.
@cache
def _of_tenant(tenant: TenantResolver, *, read_only: bool) -> _Begin:
    async def begin(
        database: Annotated[Database, Depends(get_database)],
        tenant: Annotated[UUID, Depends(tenant)],
    ) -> AsyncGenerator[UnitOfWork]:
        # A unit without one could read shared tables.
        if tenant is None:  # pyright: ignore[reportUnnecessaryComparison] -- resolvers without a type checker
            raise TenantRequiredError("the resolver returned no tenant")
        unit = database.read if read_only else database.begin
        async with unit(tenant=tenant) as uow:
            yield uow

    return begin


@cache
def _of_system(reason: str, *, read_only: bool) -> _Begin:
    async def begin(
        database: Annotated[Database, Depends(get_database)],
    ) -> AsyncGenerator[UnitOfWork]:
        unit = database.read if read_only else database.begin_system
        async with unit(reason=reason) as uow:
            yield uow

    return begin


async def answer(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of agentdb into a response; a handler of FastAPI.

    What the client is not told is logged. An error without a status is raised again.
    """
    status = status_of(error) if isinstance(error, AgentDBError) else None
    if status is None or not isinstance(error, AgentDBError):
        raise error
    if not is_told(error):
        _log.warning("answered %d: %s: %s", status, type(error).__name__, error)
    headers = (
        {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    )
    return JSONResponse(body_of(error), status, headers)


def event_stream(tail: Tail, *, keep_alive: float = 15.0) -> StreamingResponse:
    """Return the response that sends the frames of a tail as server-sent events.

    The id of an event is the ``event_id`` of the frame, which a browser sends back as
    ``Last-Event-ID``; give the tail its stream. It ends with the tail, and closes it when the
    client has gone. A client whose position is gone gets an event ``resync``.

    Args:
        tail: Of `Database.tail`, which holds no connection while it waits. Frames in an object
            store need the tail's *store*.
        keep_alive: Seconds of silence after which a comment is sent, for proxies.
    """
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    events = _events(tail, keep_alive)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(tail: Tail, keep_alive: float) -> AsyncGenerator[str]:
    waiting = asyncio.ensure_future(_next_event(tail))
    try:
        while True:
            # Not `wait_for`, which would cancel a query that is under way.
            done, _ = await asyncio.wait({waiting}, timeout=keep_alive)
            event = waiting.result() if done else ": still there\n\n"
            if event is None:
                return
            yield event
            if done:
                waiting = asyncio.ensure_future(_next_event(tail))
    finally:
        await to_the_end(_close(tail, waiting))


async def _next_event(tail: Tail) -> str | None:
    try:
        frame = await anext(tail)
    except StopAsyncIteration:
        return None
    except ResyncRequiredError:  # after which the tail has ended
        return "event: resync\ndata: {}\n\n"
    return f"id: {frame.event_id}\nevent: {frame.kind}\ndata: {frame.raw}\n\n"


async def _close(tail: Tail, waiting: asyncio.Future[str | None]) -> None:
    await tail.aclose()
    await asyncio.gather(waiting, return_exceptions=True)
