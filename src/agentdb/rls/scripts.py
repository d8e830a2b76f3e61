"""Row-level security as SQL, for people who may not run DDL from a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from agentdb.rls import statements
from agentdb.rls.statements import TABLES
from agentdb.tenancy.policies import policies_of


def script(action: Literal["enable", "disable"] = "enable", *, schema: str | None = None) -> str:
    """Return what `enable` or `disable` would run, as a script; no database is needed.

    It is one transaction, may run again, and is run by the owner of the tables.

    Args:
        action: What the script does.
        schema: Schema that holds the tables; None for the first one of the search path.
    """
    lines = _enabling(schema) if action == "enable" else _disabling(schema)
    return "".join(f"{line};\n" for line in ["BEGIN", *lines, "COMMIT"])


def _enabling(schema: str | None) -> Iterator[str]:
    for table in TABLES:
        for policy in policies_of(table):
            yield statements.drop_policy(table, policy.name, schema)
            yield statements.create_policy(policy, schema)
        yield statements.force(table, schema)
    yield statements.mark(schema)


def _disabling(schema: str | None) -> Iterator[str]:
    for table in TABLES:
        yield statements.release(table, schema)
        for policy in policies_of(table):
            yield statements.drop_policy(table, policy.name, schema)
    yield statements.unmark(schema)
