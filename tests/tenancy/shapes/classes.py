"""A mapped class, in every place of a SELECT."""

from __future__ import annotations

from sqlalchemy import (
    Integer,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import aggregate_order_by

from agentdb.models import (
    TenantUserMembership,
    UserNotificationPreference,
    UserProfile,
    WorkflowRunStep,
)
from tests.tenancy.shapes.common import (
    C,
    M,
    Shape,
    T,
    U,
    alias,
    bundle,
    tc,
)

CLASSES: dict[str, Shape] = {
    "class": lambda _: select(C),
    "class by foreign key": lambda c: select(C).where(C.id == c),
    "class or true": lambda c: select(C).where(or_(C.id == c, true())),
    "attribute": lambda _: select(C.id),
    "attribute in a function": lambda _: select(func.max(C.display_name)),
    "attribute with a label": lambda _: select(C.display_name.label("name")),
    "attribute as another type": lambda _: select(type_coerce(C.display_name, Text)),
    "bundle": lambda _: select(bundle("conversation", C.id, C.display_name)),
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
    "two classes in one tuple": lambda _: select(bundle("both", T.id, C.id)),
    "two aliases in one column": lambda _: select(alias().display_name + alias().display_name),
    "class inside a window": lambda _: select(
        T.id, func.count().over(partition_by=C.id, order_by=C.display_name)
    ),
    "class inside a cast": lambda _: select(T.id, cast(C.display_name, Text)),
    "class inside an aggregate": lambda _: select(func.count(C.id.distinct())),
    "class inside an order within": lambda _: select(
        T.slug, func.string_agg(aggregate_order_by(literal("x"), C.display_name))
    ),
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
    "alias in where alone": lambda _: select(T.id).where(alias().tenant_id != T.id),
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
}
