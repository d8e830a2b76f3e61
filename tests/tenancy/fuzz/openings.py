"""The mutants of row-level security: each policy of each table taken away or opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import make_url

from agentdb.rls.statements import create_policy, drop_policy
from agentdb.tenancy.policies import Policy, policies_of
from tests.rows import MODELS
from tests.tenancy.fuzz import strangers, texts
from tests.tenancy.fuzz.arena import Stored
from tests.tenancy.fuzz.mutants import Mutant
from tests.tenancy.fuzz.population import KEPT, SHARED
from tests.tenancy.fuzz.units import Kind, Plan

READING: tuple[Kind, ...] = (texts.read,)
WRITING: tuple[Kind, ...] = (texts.read, texts.write, strangers.forbidden)
STEALING: tuple[Kind, ...] = (strangers.give_away, strangers.insert)


def disabled(stored: Stored) -> Iterator[Mutant]:
    """Yield mutants of tables without row-level security."""
    for table in MODELS:
        sql = f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        kinds = (strangers.forbidden,) if table in SHARED else READING
        yield _mutant(stored, f"row-level security of {table}", table, kinds, sql)


def unforced(stored: Stored) -> Iterator[Mutant]:
    """Yield mutants of tables whose owner the policies do not bind."""
    assert stored.roles is not None
    owner = make_url(stored.roles.owner).username
    for table in MODELS:
        sql = f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"
        kinds = (strangers.forbidden,) if table in SHARED else READING
        made = _mutant(stored, f"FORCE of {table}", table, kinds, sql)
        yield replace(made, plan=replace(made.plan, role=owner))


def dropped(stored: Stored) -> Iterator[Mutant]:
    """Yield mutants of tables without one of their policies: rows of their own are missing."""
    for policy in _policies():
        sql = drop_policy(policy.table, policy.name, None)
        kinds = WRITING if policy.command == "UPDATE" else READING
        yield _mutant(stored, f"{policy.name} of {policy.table}", policy.table, kinds, sql)


def opened(stored: Stored) -> Iterator[Mutant]:
    """Yield mutants of policies that show every row."""
    for policy in _policies():
        if policy.table not in SHARED:
            kinds = WRITING if policy.command == "UPDATE" else READING
            yield _changed(stored, "USING", policy, kinds)


def unchecked(stored: Stored) -> Iterator[Mutant]:
    """Yield mutants of policies that let every row be written."""
    for policy in _policies():
        if policy.checks:
            kinds = (strangers.give_away,) if policy.table in KEPT else STEALING
            yield _changed(stored, "WITH CHECK", policy, kinds)


def _policies() -> Iterator[Policy]:
    for table in MODELS:
        yield from policies_of(table)


def _changed(stored: Stored, part: str, policy: Policy, kinds: tuple[Kind, ...]) -> Mutant:
    """Return a mutant of a policy one part of which is true."""
    made = create_policy(policy, None)
    before, check, after = made.partition(" WITH CHECK ")
    if part == "USING":
        before = f"{before.partition(' USING ')[0]} USING (true)"
    else:
        after = "(true)"
    sql = drop_policy(policy.table, policy.name, None), before + check + after
    return _mutant(stored, f"{part} of {policy.name} of {policy.table}", policy.table, kinds, *sql)


def _mutant(stored: Stored, name: str, table: str, kinds: tuple[Kind, ...], *sql: str) -> Mutant:
    """Return a mutant; the role may do with the table whatever the policies let it."""
    assert stored.roles is not None
    app = make_url(stored.roles.app).username
    granted = f'GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO "{app}"'
    plan = Plan(kinds, policed=True, focus=table, prelude=(granted,))
    return Mutant(name, plan, sql=sql)
