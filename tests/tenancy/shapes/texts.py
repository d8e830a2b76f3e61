"""Texts and names beside the mapped classes."""

from __future__ import annotations

from sqlalchemy import (
    Integer,
    Text,
    column,
    exists,
    func,
    literal_column,
    select,
    table,
    text,
    union_all,
    values,
)

from tests.tenancy.shapes.common import (
    C,
    Shape,
    T,
    lightweight,
    tc,
)

TEXTS: dict[str, Shape] = {
    "statement of a class": lambda _: select(C).from_statement(select(C)),
    "statement of a table": lambda _: select(C).from_statement(select(tc)),
    "statement of text": lambda _: select(C).from_statement(
        text("SELECT * FROM agent_conversations")
    ),
    "statement of text columns": lambda _: select(C).from_statement(
        text("SELECT * FROM agent_conversations").columns(tc.c.id)
    ),
    "text": lambda _: text("SELECT display_name FROM agent_conversations"),
    "text with columns": lambda _: text("SELECT id FROM agent_conversations").columns(C.id),
    "text with columns in a subquery": lambda _: select(
        text("SELECT id FROM agent_conversations").columns(C.id).subquery()
    ),
    "text in the order of a union": lambda _: union_all(select(T.id), select(T.id)).order_by(
        text("(SELECT 1 FROM agent_conversations)")
    ),
    "quoted text": lambda _: text('SELECT display_name FROM "agent_conversations"'),
    "text in where": lambda _: select(T.id).where(
        text("EXISTS (SELECT 1 FROM agent_conversations)")
    ),
    "text column": lambda _: select(
        T.id, literal_column("(SELECT count(*) FROM agent_conversations)", Integer)
    ),
    "text column alone": lambda _: select(text("display_name FROM agent_conversations")),
    "text from": lambda _: select(text("display_name")).select_from(text("agent_conversations")),
    "text order": lambda _: select(T.id).order_by(text("(SELECT 1 FROM agent_conversations)")),
    "text suffix": lambda _: select(T.slug).suffix_with(
        "UNION ALL SELECT display_name FROM agent_conversations"
    ),
    "text prefix": lambda _: select(T.slug).prefix_with(
        "(SELECT min(display_name) FROM agent_conversations),"
    ),
    "text suffix of a cte": lambda _: select(
        select(T.slug).cte("x").suffix_with("CYCLE agent_conversations")
    ),
    "text hint": lambda _: select(T.slug).with_statement_hint(
        "UNION ALL SELECT display_name FROM agent_conversations"
    ),
    "text table hint": lambda _: select(T.slug).with_hint(T, "CROSS JOIN agent_conversations"),
    "text operator": lambda _: select(
        T.slug.op("|| (SELECT min(display_name) FROM agent_conversations) ||")("")
    ),
    "text function": lambda _: select(
        getattr(func, "coalesce((SELECT min(display_name) FROM agent_conversations),")("")
    ),
    "lightweight table": lambda _: select(lightweight()),
    "lightweight columns": lambda _: select(lightweight().c.display_name),
    "lightweight alias": lambda _: select(lightweight().alias("x").c.display_name),
    "lightweight with a schema": lambda _: select(
        table("agent_conversations", column("id"), schema="main")
    ),
    "lightweight in exists": lambda _: select(T.id).where(exists().select_from(lightweight())),
    "free column": lambda _: select(column("display_name", Text)).select_from(C),
    "free column of text": lambda _: select(column("display_name", Text)).select_from(
        text("agent_conversations")
    ),
    "values": lambda _: select(
        values(column("number", Integer), name="v").data([(1,)]).alias("v").c.number
    ).where(exists(select(C.id).where(C.tenant_id != T.id))),
}
