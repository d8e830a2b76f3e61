"""The accounts that refresh tokens are issued to, and what they may ask for."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from agentdb.checks import check_text, check_values
from agentdb.errors import InvalidValueError

USER_ACCOUNT = "user:"
"""What the account of a user's tokens begins with; the user's id follows, in lower case."""

_TABLE = "service_account_tokens"


def account_of(user_id: UUID) -> str:
    """Return the account that the tokens of a user are issued to."""
    return f"{USER_ACCOUNT}{user_id}"


def user_of(account: str) -> UUID | None:
    """Return the user whose account it is, None for a service account."""
    try:
        user = UUID(account.removeprefix(USER_ACCOUNT))
    except ValueError:
        return None
    return user if account == account_of(user) else None


def check_account(account: str) -> None:
    """Refuse an account that looks like a user's and is none.

    SQLite ignores case where it tells the two apart, so no service account may begin with ``USER:``
    either.

    Raises:
        InvalidValueError: It begins so, without the id of a user in lower case, or is empty or no
            text.
    """
    check_text(account, "an account")
    if account.lower().startswith(USER_ACCOUNT) and user_of(account) is None:
        expected = "a user's account is `user:` and the user's id, in lower case"
        raise InvalidValueError(expected, table=_TABLE, column="account")


def canonical_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes sorted, each once.

    Raises:
        InvalidValueError: One is empty or has white space in it: they are joined by blanks.
    """
    found = check_values(scopes, "scopes")
    if any(check_text(scope, "a scope").split() != [scope] for scope in found):
        expected = "expects a list of texts without white space"
        raise InvalidValueError(expected, table=_TABLE, column="scopes")
    return sorted(set(found))
