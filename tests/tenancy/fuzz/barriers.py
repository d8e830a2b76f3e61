"""The mutants of the filter and of the guard, on both databases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from agentdb.repository.writes import AppendOnlyRepository, Repository, VerbWrittenRepository
from tests.rows import MODELS, table_of
from tests.tenancy.fuzz import flushes, statements, verbs
from tests.tenancy.fuzz.columns import ties
from tests.tenancy.fuzz.mutants import Changes, Mutant
from tests.tenancy.fuzz.population import KEPT, MEMBERSHIPS, OPERATOR, SHARED
from tests.tenancy.fuzz.units import Kind, Plan


def _led_to(table: str, others: Collection[str]) -> bool:
    return any(to in others for _, to in ties(table) if to != table)


OWNED = [name for name in MODELS if name not in (*OPERATOR, *SHARED)]
"""Tables of tenants and their people."""
MADE = [name for name in OWNED if name not in KEPT and not _led_to(name, OPERATOR)]
"""Those in which units of tenants make rows."""
NAMING = [name for name in MADE if "tenant_id" in table_of(MODELS[name]).columns]
"""Tables whose rows name their tenant."""
KEYED = [n for n in MADE if "tenant_id" not in table_of(MODELS[n]).primary_key.columns]
"""Tables whose keys do not tell the tenant."""
TIED = [
    n for n in MADE if n != MEMBERSHIPS and _led_to(n, set(MODELS) - {"tenant_accounts", *SHARED})
]
"""Tables whose rows refer to those of a tenant."""

Patch = Any

# By their paths: the package has a function of the same name as one of them.
filtering: Any = import_module("agentdb.tenancy.filter")
guard: Any = import_module("agentdb.tenancy.guard")


def _mutants(
    name: str, tables: Sequence[str], kinds: Sequence[Kind], patch: Patch
) -> Iterator[Mutant]:
    for table in tables:
        yield Mutant(f"{name}: {table}", Plan(kinds, focus=table), partial(patch, table))


def reading() -> Iterator[Mutant]:
    """Yield mutants that show all rows of a table."""
    kinds = (statements.plain, statements.read, verbs.generic)
    yield from _mutants("filter of reads", OWNED, kinds, partial(_unfiltered, "belongs"))


def writing() -> Iterator[Mutant]:
    """Yield mutants that change and delete all rows of a table."""
    yield from _mutants(
        "filter of writes", OWNED, (statements.write,), partial(_unfiltered, "owned")
    )


def reloading() -> Iterator[Mutant]:
    """Yield mutants that read a row of a table again, whosever it is."""
    yield from _mutants("filter of reloads", OWNED, (flushes.reloaded,), _reloaded)


def closing() -> Iterator[Mutant]:
    """Yield mutants that open the tables of the operator, and the shared ones for writing."""
    kinds = (statements.plain, statements.forbidden)
    yield from _mutants("closed class", (*OPERATOR, *SHARED), kinds, _opened)


def moving() -> Iterator[Mutant]:
    """Yield mutants that let a statement change whose a row is, and what it refers to."""
    tables = [name for name in OWNED if ties(name)]
    yield from _mutants("refused columns", tables, (statements.give_away,), _movable)


def keeping() -> Iterator[Mutant]:
    """Yield mutants that let tenants delete persons and tenants."""
    yield from _mutants("kept rows", KEPT, (statements.forbidden,), _unkept)


def owning() -> Iterator[Mutant]:
    """Yield mutants that take a new row whosever it says it is."""
    closed = [name for name in (*OPERATOR, *SHARED) if not _led_to(name, OPERATOR)]
    tables = (*NAMING, *closed, "tenant_accounts")
    yield from _mutants("owner of new rows", tables, (flushes.new_row,), _unowned)


def referring() -> Iterator[Mutant]:
    """Yield mutants that let a new row refer to any other."""
    yield from _mutants("references", TIED, (flushes.new_row,), _unreferred)


def attaching() -> Iterator[Mutant]:
    """Yield mutants that believe what an object says whose row it is."""
    yield from _mutants("attached rows", KEYED, (flushes.rewritten,), _believed)


def upserting() -> Iterator[Mutant]:
    """Yield mutants that change the row which holds a key, whosever it is."""
    # No upsert takes in who is no member, whatever key is met.
    tables = [name for name in KEYED if _is_upserted(name) and name != MEMBERSHIPS]
    yield from _mutants("owner of upserts", tables, (verbs.upserting,), _unconfined)


def shaping() -> Iterator[Mutant]:
    """Yield mutants that let through what loader criteria do not reach, of any table."""
    plan = Plan((statements.read,))
    yield Mutant("aliases that are joined", plan, _unadapted, units=300)
    yield Mutant("bare tables", plan, _bare, units=300)
    # A person alone is related to rows of several tenants.
    related = Plan((statements.related,), focus="users")
    yield Mutant("what loader options join", related, _unrelated)


def _is_upserted(table: str) -> bool:
    base: Any = Repository
    refusing: Any = (AppendOnlyRepository, VerbWrittenRepository)
    named = vars(import_module("agentdb.unit_of_work")).values()
    found = [r for r in named if isinstance(r, type) and issubclass(r, base)]
    repository = next(r for r in found if getattr(r, "model", None) is MODELS[table])
    return not issubclass(repository, refusing)


def _unfiltered(name: str, table: str, changes: Changes) -> None:
    present = getattr(filtering, name)

    def condition(columns: Any, *arguments: Any) -> Any:
        return None if columns is MODELS[table] else present(columns, *arguments)

    changes.replace(filtering, name, condition)


def _reloaded(table: str, changes: Changes) -> None:
    present = filtering.belongs

    def belongs(columns: Any, *arguments: Any) -> Any:
        return None if columns is table_of(MODELS[table]).c else present(columns, *arguments)

    changes.replace(filtering, "belongs", belongs)


def _opened(table: str, changes: Changes) -> None:
    present = filtering._refuse_class

    def refuse(name: str, scope: Any, *, writes: bool) -> None:
        if name != table:
            present(name, scope, writes=writes)

    changes.replace(filtering, "_refuse_class", refuse)


def _movable(table: str, changes: Changes) -> None:
    present = filtering._refuse_update

    def refuse(statement: Any, parameters: Any) -> None:
        if statement.table.name != table:
            present(statement, parameters)

    changes.replace(filtering, "_refuse_update", refuse)


def _unkept(table: str, changes: Changes) -> None:
    changes.replace(filtering, "KEPT", set(KEPT) - {table})


def _unowned(table: str, changes: Changes) -> None:
    present = guard.check_owner

    def check(scope: Any, write: Any) -> None:
        if write.model is not MODELS[table]:
            present(scope, write)

    changes.replace(guard, "check_owner", check)


def _unreferred(table: str, changes: Changes) -> None:
    present = guard.references_of

    def references(model: Any) -> Any:
        return {} if model is MODELS[table] else present(model)

    changes.replace(guard, "references_of", references)


def _believed(table: str, changes: Changes) -> None:
    present = guard._check_attached

    def check(session: Any, tenant: Any, rows: Any) -> None:
        present(session, tenant, [row for row in rows if type(row) is not MODELS[table]])

    changes.replace(guard, "_check_attached", check)


def _unconfined(table: str, changes: Changes) -> None:
    base: Any = Repository
    present = base._own

    def own(repository: Any, row: Any) -> Any:
        return None if repository.model is MODELS[table] else present(repository, row)

    changes.replace(base, "_own", own)


def _unadapted(changes: Changes) -> None:
    base: Any = filtering._Criterion.__mro__[1]
    changes.replace(filtering._Criterion, "_resolve_where_criteria", base._resolve_where_criteria)


def _bare(changes: Changes) -> None:
    _use_without(changes, "bare")


def _unrelated(changes: Changes) -> None:
    _use_without(changes, "joined")


def _use_without(changes: Changes, attribute: str) -> None:
    present = filtering.tables_of

    def used(statement: Any) -> Any:
        return replace(present(statement), **{attribute: frozenset[str]()})

    changes.replace(filtering, "tables_of", used)
