import logging
from collections.abc import Callable

import pytest
from fastapi import Request, Response

from agentdb import Database, errors
from agentdb.errors import AgentDBError
from agentdb.integrations.fastapi import answer, install
from agentdb.models import TenantAccount
from tests.integrations.host import Uow, client_of, keys_of, make_app, open_conversation


def raising(error: Exception) -> Callable[[Uow], object]:
    """Return an endpoint that writes and fails."""

    async def endpoint(uow: Uow) -> None:
        await open_conversation(uow, "mine")
        raise error

    return endpoint


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            errors.NotFoundError("no such ticket"),
            404,
            {"error": "not_found", "detail": "no such ticket"},
        ),
        (
            errors.InvalidValueError("too short", table="users", column="name"),
            422,
            {"error": "invalid_value", "detail": "users.name: too short", "column": "name"},
        ),
        (
            errors.TransientError("deadlock"),
            503,
            {"error": "transient", "detail": "Service Unavailable"},
        ),
    ],
)
async def test_an_error_is_a_response_and_rolls_back(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    error: AgentDBError,
    status: int,
    body: dict[str, str],
) -> None:
    """Endpoints need not catch anything."""
    app = make_app(agentdb_database, fail=raising(error))

    response = await client_of(app, agentdb_tenant.id).post("/fail")

    assert (response.status_code, response.json()) == (status, body)
    assert await keys_of(agentdb_database, agentdb_tenant.id) == set()


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.TransientError("deadlock"), "1"),
        (errors.UnavailableError("no connection"), "1"),
        (errors.CommitUnknownError("lost"), None),
        (errors.DeadlineError("too long"), None),
        (errors.QuotaExceededError("too many"), None),
    ],
)
async def test_only_what_was_not_done_may_be_asked_again(
    agentdb_database: Database,
    agentdb_tenant: TenantAccount,
    error: AgentDBError,
    header: str | None,
) -> None:
    """A COMMIT whose outcome is unknown is no invitation to repeat the request."""
    app = make_app(agentdb_database, fail=raising(error))

    response = await client_of(app, agentdb_tenant.id).post("/fail")

    assert response.headers.get("retry-after") == header


async def test_what_the_client_is_not_told_is_logged(
    agentdb_database: Database, agentdb_tenant: TenantAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """The operators learn the role and the setting, the client that it may not."""
    error = errors.PermissionDeniedError("the role needs a grant on users")
    app = make_app(agentdb_database, fail=raising(error))

    response = await client_of(app, agentdb_tenant.id).post("/fail")

    assert (response.status_code, response.json()["detail"]) == (403, "Forbidden")
    logged = ("agentdb.integrations.fastapi", logging.WARNING)
    text = "answered 403: PermissionDeniedError: the role needs a grant on users"
    assert (*logged, text) in caplog.record_tuples


async def test_what_the_client_is_told_is_not_logged(
    agentdb_database: Database, agentdb_tenant: TenantAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that is not there is nobody's concern but the client's."""
    app = make_app(agentdb_database, fail=raising(errors.NotFoundError("no such ticket")))

    await client_of(app, agentdb_tenant.id).post("/fail")

    assert [each for each in caplog.records if each.name.startswith("agentdb.integrations")] == []


async def test_a_mistake_of_the_host_stays_an_exception(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """The server logs it with its traceback and answers 500, as of any other."""
    app = make_app(agentdb_database, fail=raising(errors.AppendOnlyError("a log")))

    with pytest.raises(errors.AppendOnlyError):
        await client_of(app, agentdb_tenant.id).post("/fail")


async def test_a_handler_of_the_host_stays(
    agentdb_database: Database, agentdb_tenant: TenantAccount
) -> None:
    """Also one that was set before the installation, and for a subclass."""

    async def teapot(_: Request, __: Exception) -> Response:
        return Response(status_code=418)

    app = make_app(agentdb_database, fail=raising(errors.DuplicateError("taken")))
    app.add_exception_handler(errors.DuplicateError, teapot)
    app.add_exception_handler(errors.NotFoundError, teapot)
    install(app, agentdb_database)
    app.post("/miss")(raising(errors.NotFoundError("no such ticket")))
    client = client_of(app, agentdb_tenant.id)

    assert [(await client.post(path)).status_code for path in ("/fail", "/miss")] == [418, 418]


async def test_the_handler_raises_what_it_has_no_answer_to() -> None:
    """A host that registers it for more gets its exceptions back."""
    with pytest.raises(ZeroDivisionError):
        await answer(Request({"type": "http"}), ZeroDivisionError())
    with pytest.raises(errors.DecryptionError):
        await answer(Request({"type": "http"}), errors.DecryptionError("no", reason="damaged"))
