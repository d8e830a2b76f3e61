"""How a transaction on PostgreSQL names its tenant, and whether policies bind it as they should.

A unit of the system that policies bind would silently see nothing. A unit of a tenant that they do
not bind is no worse off than without them; who counts on them asks for ``rls="require"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from agentdb.errors import PermissionDeniedError
from agentdb.orm import Base
from agentdb.search_path import literal, prefix
from agentdb.tenancy.policies import SETTING
from agentdb.tenancy.scope import Scope, scope_of

SCOPE_OPTION = "agentdb_scope"
"""Execution option of a connection: the scope of the unit whose transaction it begins."""

TELL = f"set_config('{SETTING}', %s, true)"
"""Tells the server the tenant of a transaction, which is the parameter."""

_TOLD = "agentdb_told"


@dataclass(frozen=True, slots=True)
class Binding:
    """What a transaction tells the server of its scope, and what it asks in the same statement.

    Attributes:
        scope: Whose unit it is.
        schema: Schema that holds the tables; None for the search path.
        required: Whether the policies have to bind a unit of a tenant.
        everywhere: Whether to ask of all tables, as once for each connection, or of one of them.
    """

    scope: Scope
    schema: str | None = None
    required: bool = False
    everywhere: bool = False

    @property
    def asks(self) -> bool:
        """Whether the scope depends on what binds the role."""
        return self.scope.is_system or (self.required and self.scope.tenant is not None)

    @property
    def tenant(self) -> str:
        """The id of the tenant; empty where there is none."""
        return "" if self.scope.tenant is None else str(self.scope.tenant)

    @property
    def calls(self) -> list[str]:
        """The expressions to select; where it asks, the last one is whether policies bind."""
        told = TELL % literal(self.tenant)
        return [told, self.question] if self.asks else [told]

    @property
    def question(self) -> str:
        """The expression that is true where policies bind."""
        tables = sorted(Base.metadata.tables) if self.everywhere else ["tenant_accounts"]
        names = ", ".join(literal(f"{prefix(self.schema)}{table}") for table in tables)
        bound = "coalesce(row_security_active(to_regclass(name)), false)"
        # A single table would hide rows of the system, and a single one would show a tenant others.
        judged = "bool_or" if self.scope.is_system else "bool_and"
        return f"(SELECT {judged}({bound}) FROM unnest(ARRAY[{names}]) AS name)"  # noqa: S608 -- literals

    def judge(self, *, bound: bool) -> None:
        """Refuse a unit whose connection is not bound as it should be.

        Raises:
            PermissionDeniedError: Policies bind a unit of the system, or do not bind one of a
                tenant although they have to.
        """
        if self.scope.is_system and bound:
            raise PermissionDeniedError(
                "row-level security hides all rows from this system unit: set platform_url, or"
                " AGENTDB_PLATFORM_DATABASE_URL, to a role with BYPASSRLS"
            )
        if not self.scope.is_system and not bound:
            raise PermissionDeniedError(
                'rls="require" is set, and row-level security does not bind this connection: its'
                " role is a superuser, has BYPASSRLS or owns a table without FORCE, or a table has"
                " none; see `agentdb rls status`"
            )


def announce(session: Session, *, schema: str | None, required: bool) -> None:
    """Tell the server the tenant in each transaction of *session* that we did not begin."""
    if _TOLD in session.info:
        return

    def tell_it(connection: Connection) -> None:
        tell(session, connection, schema=schema, required=required)

    def begun(_: Session, __: SessionTransaction, connection: Connection) -> None:
        tell_it(connection)

    session.info[_TOLD] = True
    event.listen(session, "after_begin", begun)
    transaction = session.get_transaction()
    for connection in () if transaction is None else transaction.connections:
        if not _is_told(session, connection):
            _before_next(connection, tell_it)


def _before_next(connection: Connection, tell: Callable[[Connection], None]) -> None:
    """Call *tell* before the next statement is sent: to join a session sends nothing by itself."""
    left = [tell]

    def before(*_: object) -> None:
        # A listener that is running cannot be removed; this one ends with the connection.
        if left:
            left.pop()(connection)

    event.listen(connection, "before_cursor_execute", before)


def tell(session: Session, connection: Connection, *, schema: str | None, required: bool) -> None:
    """Tell the server the tenant of the transaction that *connection* is in, unless BEGIN did.

    Raises:
        PermissionDeniedError: As of `Binding.judge`.
    """
    scope = scope_of(session)
    if scope is None or _is_told(session, connection):
        return
    binding = Binding(scope, schema, required=required)
    calls = ", ".join(binding.calls)
    # The driver takes a single percent sign for a parameter.
    answer = connection.exec_driver_sql(f"SELECT {calls}".replace("%", "%%")).one()
    if binding.asks:
        binding.judge(bound=answer[-1])


def _is_told(session: Session, connection: Connection) -> bool:
    """Whether BEGIN told the server, or there is none to tell."""
    told = connection.get_execution_options().get(SCOPE_OPTION)
    return connection.dialect.name != "postgresql" or told == scope_of(session)
