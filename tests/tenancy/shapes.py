"""Every shape of statement in which a table can stand, about conversations and people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Integer,
    Text,
    and_,
    case,
    cast,
    column,
    delete,
    exists,
    false,
    func,
    insert,
    lateral,
    literal,
    literal_column,
    not_,
    or_,
    select,
    table,
    tablesample,
    text,
    true,
    tuple_,
    type_coerce,
    union,
    union_all,
    update,
    values,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import (
    Bundle,
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    load_only,
    make_transient_to_detached,
    raiseload,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
)

from agentdb.models import (
    AgentConversation,
    AgentMessage,
    TenantAccount,
    TenantUserMembership,
    User,
    UserNotificationPreference,
    UserProfile,
    WorkflowRun,
    WorkflowRunStep,
)
from tests.rows import table_of

C, M, T, U = AgentConversation, AgentMessage, TenantAccount, User
tc, tm, tt = table_of(C), table_of(M), table_of(T)
_bundle: Any = Bundle
Shape = Callable[[UUID], Any]
"""Makes a statement from the id of a foreign conversation."""


def _alias() -> Any:
    return aliased(C)


def _name_of(conversation: UUID, of: Any = C) -> Any:
    return select(of.display_name).where(of.id == conversation).scalar_subquery()


def _unsynchronized(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)


def _recursive(_: UUID) -> Any:
    start = select(C.id, literal(0).label("depth")).cte("walk", recursive=True)
    again = select(C.id, start.c.depth + 1).where(start.c.depth < 1)
    return select(start.union_all(again))


def _recursive_core(_: UUID) -> Any:
    start = select(literal(0).label("depth")).cte("walk", recursive=True)
    again = select(start.c.depth + 1).select_from(start.join(tc, true())).where(start.c.depth < 1)
    return select(start.union_all(again))


READS: dict[str, Shape] = {
    # --- A mapped class
    "class": lambda _: select(C),
    "class by foreign key": lambda c: select(C).where(C.id == c),
    "class or true": lambda c: select(C).where(or_(C.id == c, true())),
    "attribute": lambda _: select(C.id),
    "attribute in a function": lambda _: select(func.max(C.display_name)),
    "attribute with a label": lambda _: select(C.display_name.label("name")),
    "attribute as another type": lambda _: select(type_coerce(C.display_name, Text)),
    "bundle": lambda _: select(_bundle("conversation", C.id, C.display_name)),
    "count": lambda _: select(func.count()).select_from(C),
    "count of an attribute": lambda _: select(func.count(C.id)),
    "count over a window": lambda _: select(C.id, func.count().over()),
    "filtered aggregate": lambda _: select(func.count(C.id).filter(C.id.is_not(None))),
    "distinct": lambda _: select(C.id).distinct(),
    "case": lambda _: select(T.id, case((exists(select(C.id)), 1), else_=0)),
    "other columns": lambda _: select(C).with_only_columns(C.id),
    "literal column": lambda _: select(literal_column("1", Integer)).select_from(C),
    "for update": lambda _: select(C).with_for_update(),
    "for update of another": lambda _: select(T.id).join(C, true()).with_for_update(of=T),
    "two classes": lambda _: select(T.id, C.display_name).join(C, true()),
    "class by a parent": lambda _: select(M),
    "class by a parent alone": lambda _: select(M.position),
    "class by a text parent": lambda _: select(WorkflowRunStep),
    "class of people": lambda _: select(U),
    "profiles": lambda _: select(UserProfile.display_name),
    "preferences": lambda _: select(UserNotificationPreference),
    "memberships": lambda _: select(TenantUserMembership),
    "tenants": lambda _: select(T),
    "window": lambda _: select(func.row_number().over(partition_by=C.id, order_by=C.display_name)),
    "two classes in one column": lambda _: select(T.slug + C.display_name),
    "two classes in one function": lambda _: select(func.coalesce(T.slug, C.display_name)),
    "two classes in one label": lambda _: select((T.slug + C.display_name).label("both")),
    "two classes in one case": lambda _: select(case((T.slug == "", 1), (C.id.is_(None), 2))),
    "two classes in one comparison": lambda _: select(T.id == C.tenant_id),
    "two classes in one tuple": lambda _: select(_bundle("both", T.id, C.id)),
    "two aliases in one column": lambda _: select(_alias().display_name + _alias().display_name),
    "class inside a window": lambda _: select(
        T.id, func.count().over(partition_by=C.id, order_by=C.display_name)
    ),
    "class inside a cast": lambda _: select(T.id, cast(C.display_name, Text)),
    "class inside an aggregate": lambda _: select(func.count(C.id.distinct())),
    "class inside an order within": lambda _: select(
        T.slug, func.string_agg(aggregate_order_by(literal("x"), C.display_name))
    ),
    # --- In one place alone
    "class in where alone": lambda _: select(T.id).where(C.tenant_id != T.id),
    "class in a function in where": lambda _: select(T.id).where(
        func.coalesce(C.display_name, "") != "beta-display-name"
    ),
    "class in a case in where": lambda _: select(T.id).where(
        case((C.tenant_id != T.id, 1), else_=0) == 1
    ),
    "class in a cast in where": lambda _: select(T.id).where(
        cast(C.display_name, Text) != "beta-display-name"
    ),
    "class in a tuple in where": lambda c: select(T.id).where(tuple_(C.id, C.id) == (c, c)),
    "class in a negation in where": lambda _: select(T.id).where(
        not_(and_(C.tenant_id == T.id, true()))
    ),
    "class in a list in where": lambda c: select(T.id).where(C.id.in_([c])),
    "class in a sum in where": lambda _: select(T.id).where(
        (C.display_name + "") != "beta-display-name"
    ),
    "alias in where alone": lambda _: select(T.id).where(_alias().tenant_id != T.id),
    "class in an on clause alone": lambda c: select(T.id).join(M, C.id == c),
    "class in the order alone": lambda _: select(T.id).order_by(C.display_name),
    "class in the group alone": lambda _: select(func.count()).select_from(T).group_by(C.id),
    "class in having alone": lambda _: select(T.id).group_by(T.id).having(C.id.is_not(None)),
    "class in distinct alone": lambda _: select(T.id).ext(postgresql.distinct_on(C.display_name)),
    "table ordered by its class": lambda _: select(tc.c.display_name).order_by(C.id),
    "table grouped by its class": lambda _: select(tc.c.id).group_by(C.id),
    "table with its class in where": lambda _: select(tc.c.id).where(C.id.is_not(None)),
    "table in exists beside its class": lambda c: select(T.id).where(
        exists(select(tc.c.id).where(C.id == c))
    ),
    "left of a join alone": lambda _: select(M.position).join_from(C, M, true()),
    "windows in a scalar": lambda _: select(
        T.id, select(func.max(C.id).over(partition_by=C.id)).limit(1).scalar_subquery()
    ),
    "filtered aggregate in a scalar": lambda _: select(
        T.id, select(func.count(C.id).filter(C.id.is_not(None))).scalar_subquery()
    ),
    "function in where of a scalar": lambda _: select(
        C.id,
        select(func.count())
        .select_from(T)
        .where(func.coalesce(C.display_name, "") != "beta-display-name")
        .scalar_subquery(),
    ),
    "function in where, correlated": lambda _: select(
        C.id,
        select(func.count())
        .select_from(T)
        .where(func.coalesce(C.display_name, "") != "beta-display-name")
        .correlate(C)
        .scalar_subquery(),
    ),
    "function in where, correlated with nothing": lambda _: select(
        T.id,
        select(func.count())
        .where(func.coalesce(C.display_name, "") != "beta-display-name")
        .correlate(C)
        .scalar_subquery(),
    ),
    "function in where, correlated with all": lambda _: select(
        C.id,
        select(func.count())
        .select_from(T)
        .where(func.coalesce(C.display_name, "") != "beta-display-name")
        .correlate_except(T)
        .scalar_subquery(),
    ),
    "function in where of a subquery": lambda _: select(
        C.id,
        select(func.count())
        .where(func.coalesce(C.display_name, "") != "beta-display-name")
        .correlate(C)
        .subquery(),
    ),
    "any of a class beside": lambda _: select(T.id).where(
        U.memberships.any(TenantUserMembership.tenant_id != T.id)
    ),
    "condition on a class beside": lambda _: select(T.id).where(
        U.memberships.any(U.email.startswith("alpha"))
    ),
    "has of a class beside": lambda _: select(T.id).where(M.conversation.has(C.tenant_id != T.id)),
    # --- Aliases of it
    "alias": lambda _: select(_alias()),
    "attribute of an alias": lambda _: select(_alias().id),
    "count of an alias": lambda _: select(func.count()).select_from(_alias()),
    "alias and class": lambda _: select(C.id, a := _alias()).join(a, true()),
    "alias of a subquery": lambda _: select(aliased(C, select(C).subquery())),
    "flat alias": lambda _: select(aliased(C, flat=True)),
    "named alias": lambda _: select(aliased(C, name="other")),
    "alias of a bare table": lambda _: select(aliased(C, tc)),
    "alias of a bare alias": lambda _: select(aliased(C, tc.alias("bare"))),
    "alias of a bare select": lambda _: select(aliased(C, select(tc).subquery())),
    "sample": lambda _: select(tablesample(C, 100)),
    # --- Subqueries
    "subquery": lambda _: select(select(C.id, C.display_name).subquery()),
    "column of a subquery": lambda _: select(select(C.id, C.display_name).subquery().c[1]),
    "subquery in a subquery": lambda _: select(select(select(C).subquery()).subquery()),
    "count of a subquery": lambda _: select(func.count()).select_from(select(C.id).subquery()),
    "cte": lambda _: select(select(C.id, C.display_name).cte()),
    "cte in a cte": lambda _: select(select(select(C.id).cte("inner")).cte("outer")),
    "added cte": lambda _: select(T.id).add_cte(select(C.id).cte()),
    "recursive cte": _recursive,
    "recursive cte over a bare table": _recursive_core,
    "in": lambda c: select(T.slug).where(literal(c).in_(select(C.id))),
    "not in": lambda c: select(T.slug).where(literal(c).not_in(select(C.id))),
    "scalar": lambda c: select(T.id, _name_of(c)),
    "scalar alone": lambda c: select(_name_of(c)),
    "scalar of an alias": lambda c: select(_name_of(c, _alias())),
    "scalar in the order": lambda _: select(T.id).order_by(
        select(func.count(C.id)).scalar_subquery()
    ),
    "scalar in the limit": lambda _: select(T.id).limit(select(func.count(C.id)).scalar_subquery()),
    "correlated scalar": lambda _: select(
        T.id, select(func.count(C.id)).where(C.tenant_id == T.id).scalar_subquery()
    ),
    "correlated other way": lambda _: select(
        C.id, select(T.slug).where(C.tenant_id == T.id).correlate(C).scalar_subquery()
    ),
    "exists of a select": lambda _: select(exists(select(C.id))),
    "exists of a column": lambda c: select(exists().where(C.id == c)),
    "exists in where": lambda _: select(T.id).where(exists().where(C.tenant_id != T.id)),
    "not exists": lambda c: select(T.id).where(~exists().where(C.id == c)),
    "having": lambda _: select(T.id).group_by(T.id).having(exists(select(C.id))),
    "any": lambda _: select(U.id).where(U.memberships.any(TenantUserMembership.id.is_not(None))),
    "has": lambda _: select(M.id).where(M.conversation.has(C.display_name.is_not(None))),
    "lateral": lambda _: select(T.id, select(C.id).lateral("x").c.id),
    "lateral join": lambda _: select(T.id, (x := select(C.id).lateral("x")).c.id).join(x, true()),
    "lateral of a bare table": lambda _: select(lateral(select(tc.c.id))),
    # --- Set operations
    "union": lambda _: union_all(select(C.id), select(C.id)),
    "union of aliases": lambda _: union(select(_alias().id), select(_alias().id)),
    "union in a subquery": lambda _: select(union_all(select(C.id), select(C.id)).subquery()),
    "select from a union": lambda _: select(C).from_statement(select(C).union_all(select(C))),
    "alias of a union": lambda _: select(aliased(C, union_all(select(C), select(C)).subquery())),
    "union with a bare table": lambda _: union_all(select(C.id), select(tc.c.id)),
    "except": lambda _: select(C.id).except_(select(C.id).where(false())),
    "intersect": lambda _: select(C.id).intersect(select(C.id)),
    # --- Joins
    "join": lambda _: select(T.id, C.id).join(C, true()),
    "outer join": lambda _: select(T.id, C.id).outerjoin(C, true()),
    "full join": lambda _: select(T.id, C.id).join(C, T.id == C.tenant_id, full=True),
    "join to an alias": lambda _: select(T.id, (a := _alias()).id).join(a, true()),
    "join from": lambda _: select(C.id).join_from(T, C, true()),
    "join to a parent": lambda _: select(M.position).join(C, C.id == M.conversation_id),
    "select from two": lambda _: select(T.id, C.id).select_from(T, C),
    "select from a join of classes": lambda _: select(T.id).select_from(_joined()),
    "relationship join": lambda _: select(C.id, M.position).join(C.messages),
    "relationship join alone": lambda _: select(C.id).join(C.messages),
    "relationship outer join": lambda _: select(U.id, UserProfile.id).outerjoin(U.profile),
    "relationship to an alias": lambda _: select(C.id, (a := aliased(M)).id).join(
        C.messages.of_type(a)
    ),
    "relationship with more": lambda _: select(C.id, M.id).join(C.messages.and_(M.id > 0)),
    "relationship of people": lambda _: select(U.id, TenantUserMembership.id).join(U.memberships),
    "relationship backwards": lambda _: select(M.id, C.display_name).join(M.conversation),
    # --- Loader options
    "joinedload": lambda _: select(U).options(joinedload(U.memberships)),
    "joinedload inner": lambda _: select(U).options(joinedload(U.memberships, innerjoin=True)),
    "joinedload limited": lambda _: select(U).options(joinedload(U.memberships)).limit(5),
    "joinedload of an alias": lambda _: select(a := aliased(U)).options(joinedload(a.memberships)),
    "joinedload backwards": lambda _: select(TenantUserMembership).options(
        joinedload(TenantUserMembership.user).joinedload(U.profile)
    ),
    "joinedload in turn": lambda _: select(TenantUserMembership).options(
        joinedload(TenantUserMembership.user).joinedload(U.memberships)
    ),
    "selectinload": lambda _: select(U).options(selectinload(U.memberships)),
    "selectinload in turn": lambda _: select(TenantUserMembership).options(
        selectinload(TenantUserMembership.user).selectinload(U.memberships)
    ),
    "subqueryload": lambda _: select(U).options(subqueryload(U.memberships)),
    "immediateload": lambda _: select(U).options(immediateload(U.memberships)),
    "contains_eager": lambda _: (
        select(U).join(U.memberships).options(contains_eager(U.memberships))
    ),
    "contains_eager of an alias": lambda _: (
        select(U)
        .join(a := aliased(TenantUserMembership), a.user_id == U.id)
        .options(contains_eager(U.memberships.of_type(a)))
    ),
    "load_only": lambda _: select(C).options(load_only(C.display_name)),
    "defer": lambda _: select(C).options(defer(C.display_name)),
    "undefer": lambda _: select(C).options(undefer(C.display_name), raiseload("*")),
    "with_parent": lambda c: select(M).where(with_parent(_conversation(c), C.messages)),
    # --- Around the mapped class
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
    "lightweight table": lambda _: select(_light()),
    "lightweight columns": lambda _: select(_light().c.display_name),
    "lightweight alias": lambda _: select(_light().alias("x").c.display_name),
    "lightweight with a schema": lambda _: select(
        table("agent_conversations", column("id"), schema="main")
    ),
    "lightweight in exists": lambda _: select(T.id).where(exists().select_from(_light())),
    "free column": lambda _: select(column("display_name", Text)).select_from(C),
    "free column of text": lambda _: select(column("display_name", Text)).select_from(
        text("agent_conversations")
    ),
    "values": lambda _: select(
        values(column("number", Integer), name="v").data([(1,)]).alias("v").c.number
    ).where(exists(select(C.id).where(C.tenant_id != T.id))),
    # --- Bare tables
    "table": lambda _: select(tc),
    "table by foreign key": lambda c: select(tc).where(tc.c.id == c),
    "column of a table": lambda _: select(tc.c.id),
    "count of a table": lambda _: select(func.count()).select_from(tc),
    "table alias": lambda _: select(tc.alias()),
    "column of a table alias": lambda _: select(tc.alias().c.id),
    "count of a table alias": lambda _: select(func.count()).select_from(tc.alias()),
    "sample of a table": lambda _: select(tablesample(tc, 100)),
    "table in a subquery": lambda _: select(select(tc.c.id).subquery()),
    "table in a cte": lambda _: select(select(tc.c.id).cte()),
    "table in exists": lambda _: select(T.id).where(exists().select_from(tc)),
    "table in a scalar": lambda _: select(T.id, select(func.max(tc.c.id)).scalar_subquery()),
    "table in a condition": lambda c: select(T.id).where(tc.c.id == c),
    "table joined": lambda c: select(T.id).join(tc, tc.c.id == c),
    "table joined to nothing": lambda _: select(T.id).join(tc, true()),
    "table alias joined": lambda _: select(T.id).join(tc.alias(), true()),
    "table joined to itself": lambda _: select(tc.c.id).join(x := tc.alias(), x.c.id != tc.c.id),
    "table beside its class": lambda _: select(C.id, tc.c.display_name),
    "table alias beside its class": lambda _: select(C.id, tc.alias().c.display_name),
    "joined tables": lambda _: select(tc.join(tm, tc.c.id == tm.c.conversation_id)),
    "from a join of tables": lambda _: select(T.id).select_from(tt.join(tc, true())),
    "table by a parent": lambda _: select(tm),
    "table in the order": lambda _: select(T.id).order_by(
        select(func.count(tc.c.id)).scalar_subquery()
    ),
    "table in a case": lambda _: select(case((exists(select(tc.c.id)), T.slug), else_="")),
    "correlated table": lambda _: select(
        C.id, select(tt.c.slug).where(tt.c.id != C.tenant_id).scalar_subquery()
    ),
    "grouped table": lambda _: select(T.id).group_by(T.id, tc.c.display_name),
}


def _joined() -> Any:
    from sqlalchemy.orm import join  # noqa: PLC0415

    return join(T, C, true())


def _light() -> Any:
    return table("agent_conversations", column("id", tc.c.id.type), column("display_name"))


def _conversation(key: UUID) -> AgentConversation:
    row = C(id=key, conversation_key="", tenant_id=key, agent_entrypoint="")
    make_transient_to_detached(row)
    return row


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
    "update of an alias": lambda _: update(_alias()).values(display_name="hack"),
    "update by a parent": lambda _: update(M).values(tool_name="hack"),
    "update of people": lambda _: update(UserProfile).values(display_name="hack"),
    "update of preferences": lambda _: update(UserNotificationPreference).values(enabled=False),
    "update of a text tenant": lambda _: update(WorkflowRun).values(trace_id="hack"),
    "update of the owner": lambda c: update(C).values(tenant_id=c),
    "update of the owner by text": lambda c: update(C).values({"tenant_id": c}),
    "update of the owner in order": lambda c: update(C).ordered_values((C.tenant_id, c)),
    "update of the owner by column": lambda c: update(C).values({tc.c.tenant_id: c}),
    "update of a parent": lambda c: update(M).values(conversation_id=c),
    "update with a subquery": lambda c: _unsynchronized(
        update(T).values(name=func.coalesce(_name_of(c), "none"))
    ),
    "update from a class": lambda c: _unsynchronized(
        update(T).values(name=C.display_name).where(C.id == c)
    ),
    "update from an alias of it": lambda _: _unsynchronized(
        update(C).values(display_name=(a := _alias()).display_name).where(a.id != C.id)
    ),
    "update from an alias": lambda _: _unsynchronized(
        update(T).values(name=(a := _alias()).display_name).where(a.tenant_id != T.id)
    ),
    "delete using an alias": lambda c: _unsynchronized(delete(C).where(_alias().id == c)),
    "update where a class": lambda _: _unsynchronized(
        update(T).values(name="hack").where(exists().where(C.tenant_id != T.id))
    ),
    "update of a table": lambda _: update(tc).values(display_name="hack"),
    "update with a table": lambda c: _unsynchronized(
        update(T).values(name=select(tc.c.display_name).where(tc.c.id == c).scalar_subquery())
    ),
    "update from a table": lambda c: _unsynchronized(
        update(T).values(name=tc.c.display_name).where(tc.c.id == c)
    ),
    "update of a lightweight table": lambda _: update(_light()).values(display_name="hack"),
    "delete": lambda _: delete(C),
    "delete by foreign key": lambda c: delete(C).where(C.id == c),
    "delete returning": lambda _: delete(C).returning(C.display_name),
    "delete of an alias": lambda _: delete(_alias()),
    "delete by a parent": lambda _: delete(M),
    "delete of people": lambda _: delete(UserProfile),
    "delete of users": lambda _: delete(U),
    "delete of preferences": lambda _: delete(UserNotificationPreference),
    "delete where a class": lambda _: _unsynchronized(
        delete(UserProfile).where(exists().where(C.tenant_id != UserProfile.id))
    ),
    "delete using a class": lambda _: _unsynchronized(delete(M).where(M.conversation_id == C.id)),
    "delete of a table": lambda _: delete(tc),
    "delete where a table": lambda _: _unsynchronized(
        delete(UserProfile).where(exists(select(tc.c.id)))
    ),
    "delete using a table": lambda c: _unsynchronized(delete(M).where(tc.c.id == c)),
    "delete of a lightweight table": lambda _: delete(_light()),
    "insert": lambda c: insert(C).values(id=c, tenant_id=c),
    "insert into a table": lambda c: insert(tc).values(id=c, tenant_id=c),
    "insert from a class": lambda _: insert(C).from_select(["id"], select(C.id)),
    "insert from a table": lambda _: insert(C).from_select(["id"], select(tc.c.id)),
    "insert into a lightweight table": lambda c: insert(_light()).values(id=c),
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
    "delete in a cte of an update": lambda _: _unsynchronized(
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
