"""What is answered to each error of agentdb."""

from pathlib import Path
from typing import Any

import pytest

from agentdb import errors
from agentdb.errors import AgentDBError
from agentdb.integrations.answers import STATUSES, body_of, is_told, status_of

OF_THE_HOST = {
    errors.AgentDBError,
    errors.AppendOnlyError,
    errors.ConfigurationError,
    errors.CorruptDatabaseError,
    errors.CorruptObjectError,
    errors.DecryptionError,
    errors.ForkedEngineError,
    errors.MultipleRowsError,
    errors.SchemaVersionError,
    errors.TenantRequiredError,
}
"""Mistakes that no client can do anything about."""

ALL = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AgentDBError)
]
ARGUMENTS: dict[type[AgentDBError], dict[str, Any]] = {
    errors.DecryptionError: {"reason": "damaged"},
    errors.InviteUnavailableError: {"reason": "full"},
    errors.LeaseLostError: {"reason": "cancelled"},
    errors.ValueTooLongError: {"limit": 3},
}


def made(kind: type[AgentDBError], message: str = "a sentence") -> AgentDBError:
    """Make an error."""
    return kind(message, **ARGUMENTS.get(kind, {}))


@pytest.mark.parametrize("kind", ALL)
def test_every_error_has_a_status_or_is_a_mistake_of_the_host(kind: type[AgentDBError]) -> None:
    """A class that is added is decided about."""
    assert (status_of(made(kind)) is None) is (kind in OF_THE_HOST)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFoundError, 404),
        (errors.ReferencedError, 409),
        (errors.StaleVersionError, 409),
        (errors.NaiveDatetimeError, 422),
        (errors.QueueFullError, 429),
        (errors.ResyncRequiredError, 410),
    ],
)
def test_the_client_learns_what_it_can_do_something_about(
    kind: type[AgentDBError], status: int
) -> None:
    """By the message of the error; subclasses answer as their class does."""
    body = body_of(made(kind))

    assert (status_of(made(kind)), body["detail"]) == (status, "a sentence")


@pytest.mark.parametrize("kind", STATUSES)
def test_the_client_learns_nothing_of_what_is_inside(kind: type[AgentDBError]) -> None:
    """Failures of the service, and refusals that name roles, tables and settings, are phrases."""
    status, body = status_of(made(kind)), body_of(made(kind))

    assert status is not None
    assert (body["detail"] == "a sentence") is is_told(made(kind))
    assert is_told(made(kind)) is (status < 500 and kind not in HIDDEN)


HIDDEN = {errors.PermissionDeniedError, errors.TenantMismatchError}


def test_what_belongs_to_another_tenant_is_not_there() -> None:
    """The two cannot be told apart."""
    assert body_of(made(errors.TenantMismatchError)) == {
        "error": "not_found",
        "detail": "Not Found",
    }


def test_a_program_learns_the_name_the_column_and_the_reason() -> None:
    """It need not read sentences."""
    long = errors.ValueTooLongError("above 3", limit=3, table="users", column="name")

    assert body_of(long) == {
        "error": "value_too_long",
        "detail": "users.name: above 3",
        "column": "name",
    }
    assert body_of(made(errors.InviteUnavailableError)) == {
        "error": "invite_unavailable",
        "detail": "a sentence",
        "reason": "full",
    }
    assert body_of(made(errors.CommitUnknownError)) == {
        "error": "commit_unknown",
        "detail": "Internal Server Error",
    }


@pytest.mark.parametrize("kind", STATUSES)
def test_the_documentation_lists_the_status(kind: type[AgentDBError]) -> None:
    """A line of the table names the class, and ends with what is answered."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "fastapi.md"
    (line,) = (
        line for line in page.read_text("utf-8").splitlines() if f"`{kind.__name__}`" in line
    )

    assert line.rpartition(" | ")[2].startswith(str(int(STATUSES[kind])))
