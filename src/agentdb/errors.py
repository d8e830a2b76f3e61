"""The errors of agentdb, one tree below :class:`AgentDBError`.

AgentDBError
├── NotFoundError                  no such row, or one of another tenant
├── ConflictError                  a constraint of the database or of a verb stands against it
│   ├── DuplicateError             a unique key is taken
│   └── ReferencedError            the row is still used by others
├── StaleVersionError              somebody else wrote the row first
├── InvalidTransitionError         the row is in a state that does not allow it
├── InvalidValueError              a value that the column or the verb refuses
│   ├── ValueTooLongError
│   ├── ValueOutOfRangeError
│   └── NaiveDatetimeError
├── InvalidCursorError             a cursor that is damaged or of another query
├── ResyncRequiredError            the reader's position was hidden or purged: read from the start
├── QuotaExceededError
│   └── QueueFullError
├── LastOwnerError                 a tenant would lose its last owner
├── PermissionDeniedError          the actor, the unit of work or the database role may not
├── PasswordReusedError
├── InviteUnavailableError
├── ReservationExpiredError
├── LeaseLostError                 a worker's claim ended before it wrote
├── TenantRequiredError            tenant data was touched without a tenant
├── TenantMismatchError            the row or argument belongs to another tenant
├── AppendOnlyError                the table is a log
├── MultipleRowsError              more than one row where one was asked for
├── TransientError                 deadlock, serialisation, busy: run the unit of work again
├── CommitUnknownError             the connection was lost while COMMIT was under way
├── UnavailableError               the database cannot be reached or will not serve
├── DeadlineError                  a statement ran into its time limit
├── ForkedEngineError              a connection of the parent process was used in a child
├── SchemaVersionError             the database is not at the revision that this release needs
├── CorruptDatabaseError           the file is damaged or no database
├── CorruptObjectError             a stored object is not the one that was recorded
├── DecryptionError                a stored ciphertext is not opened by the keys at hand
└── ConfigurationError             the URL, the driver or the engine is not usable as it is

No message carries a parameter value, a secret or a URL with a password in it. The exception of the
driver is the ``__cause__``, its text replaced by the SQLSTATE for the same reason.
"""

from __future__ import annotations

from sqlalchemy.exc import DontWrapMixin


# DontWrapMixin: raised while a parameter is bound, SQLAlchemy would otherwise wrap the error in a
# StatementError whose text quotes the statement and the value.
class AgentDBError(DontWrapMixin, Exception):
    """Any failure that agentdb reports."""

    def __reduce__(self) -> tuple[object, ...]:
        # What failed in a worker process is raised in its parent; keyword arguments are not in
        # `args`, from which an exception would be made again.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[AgentDBError], arguments: tuple[object, ...], state: dict[str, object]
) -> AgentDBError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class NotFoundError(AgentDBError):
    """No such row, or one that another tenant owns: the two cannot be told apart."""


class ConflictError(AgentDBError):
    """The write contradicts what is stored.

    Attributes:
        constraint: Name of the constraint or unique index; None where the database does not tell
            (foreign keys on SQLite) or none is involved.
    """

    def __init__(self, message: str, *, constraint: str | None = None) -> None:
        super().__init__(message)
        self.constraint = constraint


class DuplicateError(ConflictError):
    """A unique key is taken."""


class ReferencedError(ConflictError):
    """The row is still referenced by others."""


class StaleVersionError(AgentDBError):
    """The row has another version than the caller expected."""


class InvalidTransitionError(AgentDBError):
    """The row's state does not allow the change."""


class InvalidValueError(AgentDBError):
    """A value is refused, before any SQL is sent wherever that is possible.

    Attributes:
        table: Table of the column, None where the value belongs to no single column.
        column: Column that refused the value.
    """

    def __init__(
        self, message: str, *, table: str | None = None, column: str | None = None
    ) -> None:
        super().__init__(f"{table}.{column}: {message}" if table and column else message)
        self.table = table
        self.column = column


class ValueTooLongError(InvalidValueError):
    """Text, JSON or bytes above the limit of the column.

    Attributes:
        limit: The most that the column takes: characters of text, bytes of JSON, else as named in
            the message.
    """

    def __init__(
        self, message: str, *, limit: int, table: str | None = None, column: str | None = None
    ) -> None:
        super().__init__(message, table=table, column=column)
        self.limit = limit


class ValueOutOfRangeError(InvalidValueError):
    """A number or an instant that the column cannot hold."""


class NaiveDatetimeError(InvalidValueError):
    """A datetime without a time zone."""


class InvalidCursorError(AgentDBError):
    """A cursor that is damaged, of another version, or was made by another query or tenant."""


class ResyncRequiredError(AgentDBError):
    """The reader's position was truncated away or purged; it has to read from the start."""


class QuotaExceededError(AgentDBError):
    """A limit that the caller set would be passed."""


class QueueFullError(QuotaExceededError):
    """The conversation has as many waiting runs as it may have."""


class LastOwnerError(AgentDBError):
    """The change would leave a tenant without an owner."""


class PermissionDeniedError(AgentDBError):
    """The actor, the unit of work or the database role may not do this."""


class PasswordReusedError(AgentDBError):
    """The password is the current one or among the last ones."""


class InviteUnavailableError(AgentDBError):
    """The invite cannot be reserved.

    Attributes:
        reason: One of ``full``, ``expired``, ``revoked``, ``exhausted``, ``wrong_email``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReservationExpiredError(AgentDBError):
    """The reservation was released or ran out before it was finalised."""


class LeaseLostError(AgentDBError):
    """The worker no longer holds what it tries to write.

    Attributes:
        reason: One of ``cancelled``, ``reclaimed``, ``finished``, ``missing``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TenantRequiredError(AgentDBError):
    """Tenant data was touched by a unit of work that has no tenant."""


class TenantMismatchError(AgentDBError):
    """An argument or a row names another tenant than the unit of work."""


class AppendOnlyError(AgentDBError):
    """The table is a log: rows are added and purged, never changed."""


class MultipleRowsError(AgentDBError):
    """Several rows match where one was asked for."""


class TransientError(AgentDBError):
    """Deadlock, serialisation failure, lock timeout or a busy database: run the unit again."""


class CommitUnknownError(AgentDBError):
    """The connection was lost while COMMIT was under way: it may or may not have happened."""


class UnavailableError(AgentDBError):
    """The database cannot be reached, has no connection left, or refuses to serve.

    Attributes:
        lost: Whether a connection broke that had been made; the pool has dropped it.
    """

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


class DeadlineError(AgentDBError):
    """A statement ran into its time limit or was cancelled."""


class ForkedEngineError(AgentDBError):
    """A connection made before ``os.fork`` was used in the child."""


class SchemaVersionError(AgentDBError):
    """The schema of the database is not the one that this release needs."""


class CorruptDatabaseError(AgentDBError):
    """The file is damaged or is no database."""


class CorruptObjectError(AgentDBError):
    """An object in its store is not the one that was recorded: its SHA-256 differs."""


class DecryptionError(AgentDBError):
    """A stored value is not opened by the keys at hand.

    Attributes:
        reason: ``unknown_key``: its key is not in the ring. ``damaged``: it was changed, was moved
            from another place, or the key of that id is another. ``foreign``: agentdb did not
            encrypt it.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConfigurationError(AgentDBError):
    """The URL, the driver or the engine cannot be used as it is."""
