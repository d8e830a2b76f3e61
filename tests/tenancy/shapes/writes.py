"""Statements that write, or would."""

from __future__ import annotations

from sqlalchemy import (
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql

from agentdb.models import (
    UserNotificationPreference,
    UserProfile,
    WorkflowRun,
)
from tests.tenancy.shapes.common import (
    C,
    M,
    Shape,
    T,
    U,
    alias,
    lightweight,
    name_of,
    tc,
    unsynchronized,
)

WRITES: dict[str, Shape] = {
    "update": lambda _: update(C).values(display_name="hack"),
    "update by foreign key": lambda c: update(C).where(C.id == c).values(display_name="hack"),
    "update returning": lambda _: update(C).values(display_name="hack").returning(C.display_name),
    "update fetching": lambda _: (
        update(C).values(display_name="hack").execution_options(synchronize_session="fetch")
    ),
    "update evaluated": lambda _: (
        update(C).values(display_name="hack").execution_options(synchronize_session="evaluate")
    ),
    "update of an alias": lambda _: update(alias()).values(display_name="hack"),
    "update by a parent": lambda _: update(M).values(tool_name="hack"),
    "update of people": lambda _: update(UserProfile).values(display_name="hack"),
    "update of preferences": lambda _: update(UserNotificationPreference).values(enabled=False),
    "update of a text tenant": lambda _: update(WorkflowRun).values(trace_id="hack"),
    "update of the owner": lambda c: update(C).values(tenant_id=c),
    "update of the owner by text": lambda c: update(C).values({"tenant_id": c}),
    "update of the owner in order": lambda c: update(C).ordered_values((C.tenant_id, c)),
    "update of the owner by column": lambda c: update(C).values({tc.c.tenant_id: c}),
    "update of a parent": lambda c: update(M).values(conversation_id=c),
    "update with a subquery": lambda c: unsynchronized(
        update(T).values(name=func.coalesce(name_of(c), "none"))
    ),
    "update from a class": lambda c: unsynchronized(
        update(T).values(name=C.display_name).where(C.id == c)
    ),
    "update from an alias of it": lambda _: unsynchronized(
        update(C).values(display_name=(a := alias()).display_name).where(a.id != C.id)
    ),
    "update from an alias": lambda _: unsynchronized(
        update(T).values(name=(a := alias()).display_name).where(a.tenant_id != T.id)
    ),
    "delete using an alias": lambda c: unsynchronized(delete(C).where(alias().id == c)),
    "update where a class": lambda _: unsynchronized(
        update(T).values(name="hack").where(exists().where(C.tenant_id != T.id))
    ),
    "update of a table": lambda _: update(tc).values(display_name="hack"),
    "update with a table": lambda c: unsynchronized(
        update(T).values(name=select(tc.c.display_name).where(tc.c.id == c).scalar_subquery())
    ),
    "update from a table": lambda c: unsynchronized(
        update(T).values(name=tc.c.display_name).where(tc.c.id == c)
    ),
    "update of a lightweight table": lambda _: update(lightweight()).values(display_name="hack"),
    "delete": lambda _: delete(C),
    "delete by foreign key": lambda c: delete(C).where(C.id == c),
    "delete returning": lambda _: delete(C).returning(C.display_name),
    "delete of an alias": lambda _: delete(alias()),
    "delete by a parent": lambda _: delete(M),
    "delete of people": lambda _: delete(UserProfile),
    "delete of users": lambda _: delete(U),
    "delete of preferences": lambda _: delete(UserNotificationPreference),
    "delete where a class": lambda _: unsynchronized(
        delete(UserProfile).where(exists().where(C.tenant_id != UserProfile.id))
    ),
    "delete using a class": lambda _: unsynchronized(delete(M).where(M.conversation_id == C.id)),
    "delete of a table": lambda _: delete(tc),
    "delete where a table": lambda _: unsynchronized(
        delete(UserProfile).where(exists(select(tc.c.id)))
    ),
    "delete using a table": lambda c: unsynchronized(delete(M).where(tc.c.id == c)),
    "delete of a lightweight table": lambda _: delete(lightweight()),
    "insert": lambda c: insert(C).values(id=c, tenant_id=c),
    "insert into a table": lambda c: insert(tc).values(id=c, tenant_id=c),
    "insert from a class": lambda _: insert(C).from_select(["id"], select(C.id)),
    "insert from a table": lambda _: insert(C).from_select(["id"], select(tc.c.id)),
    "insert into a lightweight table": lambda c: insert(lightweight()).values(id=c),
    "insert over another": lambda c: (
        postgresql.insert(C)
        .values(id=c, display_name="hack")
        .on_conflict_do_update(index_elements=["id"], set_={"display_name": "hack"})
    ),
    "insert in a cte": lambda c: select(insert(C).values(id=c).returning(C.id).cte()),
    "update in a cte": lambda _: select(
        update(C).values(display_name="hack").returning(C.display_name).cte()
    ),
    "update of a table in a cte": lambda _: select(
        update(tc).values(display_name="hack").returning(tc.c.display_name).cte()
    ),
    "delete in a cte": lambda _: select(delete(C).returning(C.display_name).cte()),
    "delete in an added cte": lambda _: select(T.id).add_cte(delete(C).cte()),
    "delete in a cte of an update": lambda _: unsynchronized(
        update(T).values(name="hack").add_cte(delete(C).cte())
    ),
    "text update": lambda _: text("UPDATE agent_conversations SET display_name = 'hack'"),
    "text delete": lambda _: text("DELETE FROM agent_conversations"),
    "text truncate": lambda _: text("TRUNCATE tenant_accounts CASCADE"),
    "text drop": lambda _: text("DROP TABLE agent_conversations"),
    "update from a statement": lambda _: select(C).from_statement(
        update(C).values(display_name="hack").returning(C)
    ),
    "update of a table from a statement": lambda _: select(C).from_statement(
        update(tc).values(display_name="hack").returning(tc)
    ),
    "delete from a statement": lambda _: select(C).from_statement(delete(C).returning(C)),
    "insert from a statement": lambda c: select(C).from_statement(
        insert(C).values(id=c, tenant_id=c).returning(C)
    ),
}
"""Statements that write, or would."""
