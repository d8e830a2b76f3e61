"""The operations on people, each with arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from agentdb import operations
from agentdb.auth.credentials import NewToken
from agentdb.auth.values import LoginResult
from agentdb.signup.rows import NewInvite
from tests.rows import DISTANT, Rows


class OperationCall(NamedTuple):
    """An operation in a system unit.

    Attributes:
        function: The operation.
        arguments: Makes the arguments after the unit, by name, from the rows of a tenant.
    """

    function: Callable[..., Any]
    arguments: Callable[[Rows], dict[str, Any]]

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.function.__name__


def _user(rows: Rows, **others: Any) -> dict[str, Any]:
    return {"user_id": rows["users"].id, **others}


def _member(rows: Rows, **others: Any) -> dict[str, Any]:
    return _user(rows, tenant_id=rows["tenant_accounts"].id, **others)


def _token() -> NewToken:
    return NewToken(
        refresh_token_hash="other", refresh_jti="other", signing_kid="other", expires_at=DISTANT
    )


def _decision(rows: Rows, **others: Any) -> dict[str, Any]:
    request = rows["tenant_signup_requests"].id
    return {"request_id": request, "decided_by": rows["users"].id, **others}


_NEW = {"email": "new@example.com", "password_hash": "hash"}


def _change_email(rows: Rows) -> dict[str, Any]:
    return _user(rows, email="new@example.com")


def _disable(rows: Rows) -> dict[str, Any]:
    return _user(rows, reason="left")


def _log_in(rows: Rows) -> dict[str, Any]:
    return _member(rows, result=LoginResult.FAILURE)


def _is_reused(_entries: object) -> bool:
    return False


def _change_password(rows: Rows) -> dict[str, Any]:
    return _user(rows, password_hash="hash", pepper_version="v2", is_reused=_is_reused)


def _provision(rows: Rows) -> dict[str, Any]:
    return {**_NEW, "tenant_id": rows["tenant_accounts"].id}


def _sign_up(_rows: Rows) -> dict[str, Any]:
    return {**_NEW, "tenant_name": "Name"}


def _issue(rows: Rows) -> dict[str, Any]:
    return _member(rows, scopes=["a"], token=_token())


def _rotate(rows: Rows) -> dict[str, Any]:
    return {"jti": rows["service_account_tokens"].refresh_jti, "token": _token()}


def _log_out(rows: Rows) -> dict[str, Any]:
    return _member(rows, session_id=rows["user_sessions"].id)


def _approve(rows: Rows) -> dict[str, Any]:
    return _decision(rows, invite=NewInvite(token_hash="other", token_hint="hint"))


OPERATIONS = [
    OperationCall(operations.change_email, _change_email),
    OperationCall(operations.disable_user, _disable),
    OperationCall(operations.inbox, _member),
    OperationCall(operations.mark_all_read, _member),
    OperationCall(operations.record_login, _log_in),
    OperationCall(operations.change_password, _change_password),
    OperationCall(operations.provision_user, _provision),
    OperationCall(operations.sign_up, _sign_up),
    OperationCall(operations.issue_session, _issue),
    OperationCall(operations.rotate, _rotate),
    OperationCall(operations.revoke_session, _log_out),
    OperationCall(operations.revoke_sessions_all, _member),
    OperationCall(operations.approve_signup_request, _approve),
    OperationCall(operations.reject_signup_request, _decision),
    OperationCall(operations.delete_user, _user),
]
