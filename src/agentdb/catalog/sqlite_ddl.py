"""What SQLite tells nowhere but in the statement that made a table.

Its pragmas know no names of constraints, no conditions, no collations and no AUTOINCREMENT.
https://www.sqlite.org/lang_createtable.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentdb.catalog.expressions import canonical_tokens
from agentdb.catalog.tokens import Token, inside, split, tokens_of, top_level

_TABLE_RULES = ("primary", "unique", "foreign", "check")
_COLUMN_RULES = (*_TABLE_RULES, "references")


@dataclass(slots=True)
class Ddl:
    """What the statement says.

    Attributes:
        names: Names of the keys, unique constraints and foreign keys, by what they are
            (``primary``, ``unique``, ``foreign``) and their columns.
        checks: Conditions by name; one without a name under a blank and its condition.
        collations: By column.
        generated: Expressions, by column.
        autoincrement: The column whose numbers are never used again.
    """

    names: dict[tuple[str, tuple[str, ...]], str] = field(
        default_factory=dict[tuple[str, tuple[str, ...]], str]
    )
    checks: dict[str, str] = field(default_factory=dict[str, str])
    collations: dict[str, str] = field(default_factory=dict[str, str])
    generated: dict[str, str] = field(default_factory=dict[str, str])
    autoincrement: str | None = None


def parse(sql: str) -> Ddl:
    """Return what a ``CREATE TABLE`` says beyond the pragmas."""
    tokens = tokens_of(sql)
    found = Ddl()
    opening = next((place for place, token in enumerate(tokens) if token.means("(")), None)
    for part in split(inside(tokens, opening)) if opening is not None else ():
        is_rule = part[0].means("constraint", *_TABLE_RULES)
        (_read_rule if is_rule else _read_column)(found, part)
    return found


def predicate(sql: str) -> str | None:
    """Return which rows the index of a ``CREATE INDEX`` holds; None for all."""
    tokens = tokens_of(sql)
    for place in top_level(tokens):
        if tokens[place].means("where"):
            return canonical_tokens(tokens[place + 1 :])
    return None


def _read_rule(found: Ddl, part: Sequence[Token]) -> None:
    name = part[1].text if part[0].means("constraint") else None
    rule = part[2:] if name else part
    if rule[0].means("check"):
        _add_check(found, name, rule)
        return
    opening = next(place for place, token in enumerate(rule) if token.means("("))
    columns = tuple(item[0].text for item in split(inside(rule, opening)))
    if name:
        found.names[rule[0].text, columns] = name


def _add_check(found: Ddl, name: str | None, rule: Sequence[Token]) -> None:
    condition = canonical_tokens(inside(rule, 1))
    found.checks[name or f" {condition}"] = condition


def _read_column(found: Ddl, part: Sequence[Token]) -> None:
    column, name = part[0].text, None
    for place in top_level(part):
        word = part[place]
        if word.means("constraint"):
            name = part[place + 1].text
        elif word.means("collate"):
            found.collations[column] = part[place + 1].text.upper()
        elif word.means("autoincrement"):
            found.autoincrement = column
        elif word.means("as"):
            found.generated[column] = canonical_tokens(inside(part, place + 1))
        elif word.means(*_COLUMN_RULES):
            _read_column_rule(found, column, name, part[place:])
            name = None


def _read_column_rule(found: Ddl, column: str, name: str | None, rule: Sequence[Token]) -> None:
    kind = "foreign" if rule[0].means("references") else rule[0].text
    if kind == "check":
        _add_check(found, name, rule)
    elif name:
        found.names[kind, (column,)] = name
