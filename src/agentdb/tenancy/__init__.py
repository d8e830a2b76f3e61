"""Tenancy: whose rows a unit of work reads and writes, on both databases, failing closed."""

from agentdb.tenancy.filter import CHECKED, CONFINED, confine
from agentdb.tenancy.guard import Write, check_owner, check_writes, guard
from agentdb.tenancy.predicates import belongs, owned, tenant_value
from agentdb.tenancy.references import tied_columns
from agentdb.tenancy.scope import Scope, bind_scope, scope_of

__all__ = [
    "CHECKED",
    "CONFINED",
    "Scope",
    "Write",
    "belongs",
    "bind_scope",
    "check_owner",
    "check_writes",
    "confine",
    "guard",
    "owned",
    "scope_of",
    "tenant_value",
    "tied_columns",
]
