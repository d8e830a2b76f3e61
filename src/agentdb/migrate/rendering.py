"""How the revisions that Alembic writes for a host name what is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ForeignKeyConstraint, MetaData
from sqlalchemy.sql.elements import conv

from agentdb import types
from agentdb.models import Base

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

_CLAUSES = ("onupdate", "ondelete", "initially", "deferrable", "match")


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Write a type of ours, or a reference to a table of ours; False leaves it to Alembic.

    A column that refers to one of ours has its type, which Alembic writes without the import. And
    where the metadata of the host has a schema, Alembic puts it before each table without one.
    """
    if kind == "type" and type(item).__module__.startswith(f"{types.__name__}."):
        context.imports.add(f"import {types.__name__}")
        return f"{types.__name__}.{item!r}"
    if kind == "foreign_key" and isinstance(item, ForeignKeyConstraint):
        targets = [element.target_fullname for element in item.elements]
        if _are_taken_for_the_hosts(targets[0].split("."), context):
            return _rendered(item, targets, context)
    return False


def _are_taken_for_the_hosts(target: list[str], context: AutogenContext) -> bool:
    if len(target) != 2 or target[0] not in Base.metadata.tables:  # noqa: PLR2004 -- table.column
        return False
    held: Any = context.metadata or []
    hosts: list[MetaData] = [held] if isinstance(held, MetaData) else list(held)
    with_schema = [one for one in hosts if one.schema]
    own = any(f"{one.schema}.{target[0]}" in one.tables for one in with_schema)
    return bool(with_schema) and not own


def _rendered(reference: ForeignKeyConstraint, targets: list[str], context: AutogenContext) -> str:
    columns = [element.parent.name for element in reference.elements]
    parts = [repr(columns), repr(targets)]
    if reference.name:
        # A name that is finished, which no naming convention is to change.
        is_finished = isinstance(reference.name, conv)
        prefix = context.opts.get("alembic_module_prefix") or ""
        name = repr(str(reference.name))
        parts.append(f"name={prefix}f({name})" if is_finished else f"name={name}")
    said = {clause: getattr(reference, clause) for clause in _CLAUSES}
    parts += [f"{clause}={value!r}" for clause, value in said.items() if value]
    prefix = context.opts.get("sqlalchemy_module_prefix") or ""
    return f"{prefix}ForeignKeyConstraint({', '.join(parts)})"
