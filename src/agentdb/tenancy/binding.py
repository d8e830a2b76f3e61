"""How a transaction on PostgreSQL names its tenant, and whether policies bind it as they should.

A unit of the system that policies bind would silently see nothing. A unit of a tenant that they do
not bind is no worse off than without them; who counts on them asks for ``rls="require"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from agentdb.orm import Base
from agentdb.refusals import BOUND_SYSTEM, UNBOUND_TENANT, refuse_where
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
    """What a transaction tells the server of its scope, and what the server is to refuse.

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
    def told(self) -> str:
        """The expressions to select; the one parameter is the tenant.

        Where the scope depends on it, the server refuses a role that is not bound as it should be.
        """
        # The driver takes a single percent sign for a parameter.
        return f"{TELL}, {self.refusal.replace('%', '%%')}" if self.asks else TELL

    @property
    def refusal(self) -> str:
        """The expression that fails where policies bind a system unit, or bind no tenant's."""
        tables = sorted(Base.metadata.tables) if self.everywhere else ["tenant_accounts"]
        names = ", ".join(literal(f"{prefix(self.schema)}{table}") for table in tables)
        bound = "coalesce(row_security_active(to_regclass(name)), false)"
        # A single table would hide rows of the system, and a single one would show a tenant others.
        system = self.scope.is_system
        judged = f"bool_or({bound})" if system else f"bool_or(NOT {bound})"
        question = f"(SELECT {judged} FROM unnest(ARRAY[{names}]) AS name)"  # noqa: S608 -- literals
        return refuse_where(question, BOUND_SYSTEM if system else UNBOUND_TENANT)


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
        PermissionDeniedError: Policies bind a unit of the system, or do not bind one of a tenant
            although they have to.
    """
    scope = scope_of(session)
    if scope is None or _is_told(session, connection):
        return
    binding = Binding(scope, schema, required=required)
    connection.exec_driver_sql(f"SELECT {binding.told}", (binding.tenant,))


def _is_told(session: Session, connection: Connection) -> bool:
    """Whether BEGIN told the server, or there is none to tell."""
    told = connection.get_execution_options().get(SCOPE_OPTION)
    return connection.dialect.name != "postgresql" or told == scope_of(session)
