"""Calls of verbs with the arguments of one tenant, but for one of them, which is another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import Parameter, signature
from typing import Any, NamedTuple, get_args, get_type_hints
from uuid import UUID

from agentdb.repository import Repository
from tests.rows import Rows
from tests.tenancy.references import REFERENCES
from tests.tenancy.verbs import Call, calls, verbs_of

NAMED = {reference.attribute for reference in REFERENCES} | {"workflow_run_id"}


class Mixture(NamedTuple):
    """A verb, called in three ways.

    Attributes:
        name: The verb and the argument that changes.
        own: All arguments are the tenant's.
        foreign: One leads to the other tenant.
        unknown: The same one leads nowhere.
    """

    name: str
    own: Call
    foreign: Call
    unknown: Call


def mixtures(
    repository: Repository[Any, Any], own: Rows, foreign: Rows, unknown: Rows
) -> Iterator[Mixture]:
    """Yield the calls of a repository's verbs with each argument that names something."""
    every = [list(calls(repository, rows)) for rows in (own, foreign, unknown)]
    for mine, other, none in zip(*every, strict=True):
        if mine.refuses or mine.names_tenant or other.names_tenant:
            continue
        yield from _by_position(mine, other, none)
        yield from _by_keyword(mine, other, none)
        rows = (own, foreign, unknown)
        yield from _by_field(repository, mine, rows)


def _by_position(own: Call, foreign: Call, unknown: Call) -> Iterator[Mixture]:
    for n, (mine, other, none) in enumerate(
        zip(own.arguments, foreign.arguments, unknown.arguments, strict=True)
    ):
        if _names(mine) and mine != other:
            made = [
                replace(own, arguments=(*own.arguments[:n], value, *own.arguments[n + 1 :]))
                for value in (other, none)
            ]
            yield Mixture(f"{own.verb} #{n}", own, *made)


def _by_keyword(own: Call, foreign: Call, unknown: Call) -> Iterator[Mixture]:
    for name, mine in own.options.items():
        other, none = foreign.options[name], unknown.options[name]
        if _names(mine) and mine != other:
            made = [replace(own, options={**own.options, name: v}) for v in (other, none)]
            yield Mixture(f"{own.verb} {name}", own, *made)


def _by_field(
    repository: Repository[Any, Any], own: Call, rows: tuple[Rows, Rows, Rows]
) -> Iterator[Mixture]:
    table = repository.model.__tablename__
    for name in sorted(fields_of(repository, own.verb) & NAMED - own.options.keys()):
        if hasattr(rows[0][table], name):
            values = [getattr(r[table], name) for r in rows]
            made = [replace(own, options={**own.options, name: value}) for value in values]
            yield Mixture(f"{own.verb} **{name}", *made)


def fields_of(repository: Repository[Any, Any], verb: str) -> set[str]:
    """Return the columns that a verb takes beyond its named parameters, where they are typed."""
    method = verbs_of(repository)[verb]
    for parameter in signature(method).parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:
            hints = get_type_hints(method)
            fields = get_args(hints.get(parameter.name))
            return set(get_type_hints(fields[0])) if fields else set()
    return set()


def _names(value: object) -> bool:
    """Whether an argument may be the key of something: an id or a text, or several."""
    if isinstance(value, list):
        items: list[object] = value  # pyright: ignore[reportUnknownVariableType] -- of Any
        return bool(items) and all(_names(item) for item in items)
    return isinstance(value, UUID | str | int) and not isinstance(value, bool)
