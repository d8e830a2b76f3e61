"""Keys of conversations, which begin with the id of their tenant.

Those made by other means may be bare, and then no verb finds the conversation by its key.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    cast,
    column,
    exists,
    func,
    select,
    table,
    text,
    update,
)

from agentdb.adoption.facts import BareKeys
from agentdb.adoption.offenders import examples
from agentdb.adoption.reach import Reach
from agentdb.conversations.refs import MAX_EXTERNAL_KEY

# Not the mapped tables: an update of those would stamp the rows as written now.
_conversations = table(
    "agent_conversations",
    column("id", String),
    column("tenant_id", String),
    column("conversation_key", String),
)
_others = _conversations.alias("others")
_runs = table("workflow_runs", column("conversation_id", String))
_key = _conversations.c.conversation_key

_PREFIX = 37
"""Characters of a tenant's id and the colon after it."""


def _prefix() -> ColumnElement[str]:
    """Return the id of the tenant with hyphens, which SQLite stores without, and the colon."""
    digits = func.lower(func.replace(cast(_conversations.c.tenant_id, String), "-", ""))
    parts = [func.substr(digits, start, n) for start, n in _GROUPS]
    joined: ColumnElement[str] = cast(parts[0], String)
    for part in parts[1:]:
        joined = joined + "-" + cast(part, String)
    return joined + ":"


_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))

_full = _prefix() + cast(_key, String)
_bare = func.substr(_key, 1, _PREFIX, type_=String()) != _prefix()
_too_long = _bare & (func.length(_key) > MAX_EXTERNAL_KEY)
_taken = (
    _bare
    & (func.length(_key) <= MAX_EXTERNAL_KEY)
    & exists().where(cast(_others.c.conversation_key, String) == _full)
)
_movable = (
    _bare
    & (func.length(_key) <= MAX_EXTERNAL_KEY)
    & ~exists().where(cast(_others.c.conversation_key, String) == _full)
)


def bare_keys(reach: Reach) -> BareKeys:
    """Return how many keys would be rewritten, and which cannot be."""
    if not _can_move(reach):
        return BareKeys()
    rows = select(cast(_conversations.c.id, String))
    movable, too_long, taken = (
        examples(reach, _conversations.name, rows.where(condition))
        for condition in (_movable, _too_long, _taken)
    )
    return BareKeys(movable.count, too_long, taken)


def _can_move(reach: Reach) -> bool:
    return reach.has(_conversations.name, ["tenant_id", "conversation_key"])


def hold(reach: Reach) -> None:
    """Keep others from writing keys until the transaction ends; on SQLite nobody else writes."""
    held = [reach.ddl.qualified(t.name) for t in (_conversations, _runs) if reach.has(t.name)]
    if reach.ddl.on_postgresql and held:
        reach.connection.execute(text(f"LOCK TABLE {', '.join(held)} IN SHARE ROW EXCLUSIVE MODE"))


def rewrite(reach: Reach) -> None:
    """Put the id of the tenant before each bare key, where the runs refer to it too."""
    if not _can_move(reach):
        return
    moving = update(_conversations).where(_movable).values(conversation_key=_full)
    if not reach.has(_runs.name, ["conversation_id"]):
        reach.connection.execute(moving)
    elif reach.ddl.on_postgresql:
        # One statement: the foreign key is checked at its end, when both sides have the new key.
        moved = moving.returning(_key).cte("moved")
        old = func.substr(moved.c.conversation_key, _PREFIX + 1, type_=String())
        following = update(_runs).where(_runs.c.conversation_id == old)
        reach.connection.execute(following.values(conversation_id=moved.c.conversation_key))
    else:
        _rewrite_runs(reach.connection)
        reach.connection.execute(moving)


def _rewrite_runs(connection: Connection) -> None:
    """Rewrite the references first; SQLite checks them when the adoption ends."""
    theirs = (_key == _runs.c.conversation_id) & _movable
    new = select(_full).where(theirs).scalar_subquery()
    connection.execute(update(_runs).where(exists().where(theirs)).values(conversation_id=new))
