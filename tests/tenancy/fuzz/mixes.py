"""What random units are made of."""

from tests.tenancy.fuzz import flushes, statements, strangers, texts, verbs
from tests.tenancy.fuzz.units import Plan

MAPPED = (
    statements.plain,
    *[statements.read] * 3,
    *[statements.related] * 2,
    *[statements.write] * 3,
    statements.give_away,
    statements.forbidden,
    flushes.new_row,
    flushes.rewritten,
    flushes.reloaded,
    *[verbs.domain] * 3,
    *[verbs.generic] * 2,
    verbs.writing,
)
"""Statements of mapped classes, objects and verbs: what the filter and the guard see."""

PLAIN_SQL = (
    *[texts.read] * 5,
    *[texts.write] * 3,
    strangers.give_away,
    strangers.insert,
    strangers.closed,
    strangers.forbidden,
)
"""SQL as text on the connection: what the policies alone see."""

FILTERED = Plan(MAPPED)
POLICED = Plan((*MAPPED, *PLAIN_SQL), policed=True)
