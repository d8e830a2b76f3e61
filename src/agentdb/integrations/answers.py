"""What a web service answers to an error; no framework is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from agentdb import errors
from agentdb.errors import AgentDBError

STATUSES: Mapping[type[AgentDBError], HTTPStatus] = MappingProxyType(
    {
        errors.NotFoundError: HTTPStatus.NOT_FOUND,
        errors.TenantMismatchError: HTTPStatus.NOT_FOUND,
        errors.PermissionDeniedError: HTTPStatus.FORBIDDEN,
        errors.ConflictError: HTTPStatus.CONFLICT,
        errors.StaleVersionError: HTTPStatus.CONFLICT,
        errors.InvalidTransitionError: HTTPStatus.CONFLICT,
        errors.LastOwnerError: HTTPStatus.CONFLICT,
        errors.InviteUnavailableError: HTTPStatus.CONFLICT,
        errors.LeaseLostError: HTTPStatus.CONFLICT,
        errors.ReservationExpiredError: HTTPStatus.GONE,
        errors.ResyncRequiredError: HTTPStatus.GONE,
        errors.InvalidValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.InvalidCursorError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.PasswordReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.QuotaExceededError: HTTPStatus.TOO_MANY_REQUESTS,
        errors.CommitUnknownError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The statuses of errors and of their subclasses.

The others are mistakes of the host or of its operators, which a server reports as any exception.
CommitUnknownError has no Retry-After: what was asked for may have been done.
"""

RETRY_AFTER = 1
"""Seconds after which a client may ask again what was answered with 503."""

_UNTOLD = (errors.PermissionDeniedError, errors.TenantMismatchError)
"""Errors whose messages are for the operators: they name tables and settings."""


def status_of(error: AgentDBError) -> HTTPStatus | None:
    """Return the status of the nearest class in `STATUSES`, None where there is none."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)


def is_told(error: AgentDBError) -> bool:
    """Whether the client may read the message."""
    status = status_of(error)
    if status is None or isinstance(error, _UNTOLD):
        return False
    return status < HTTPStatus.INTERNAL_SERVER_ERROR


def body_of(error: AgentDBError) -> dict[str, str]:
    """Return what the client is told.

    ``error`` names the error for programs, ``detail`` is a sentence; ``column`` or ``reason`` stand
    there where the error has one. Nothing that was sent is in it, as in no message.
    """
    if not is_told(error):
        status = status_of(error) or HTTPStatus.INTERNAL_SERVER_ERROR
        return {"error": _word(error), "detail": status.phrase}
    more = {name: getattr(error, name, None) for name in ("column", "reason")}
    known = {name: value for name, value in more.items() if isinstance(value, str)}
    return {"error": _word(error), "detail": str(error), **known}


def _word(error: AgentDBError) -> str:
    """Return ``stale_version`` for StaleVersionError; nobody learns that a row is another's."""
    hidden = isinstance(error, errors.TenantMismatchError)
    kind = errors.NotFoundError if hidden else type(error)
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()
