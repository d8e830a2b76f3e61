"""Aliases, subqueries and set operations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    exists,
    false,
    func,
    lateral,
    literal,
    select,
    tablesample,
    true,
    union,
    union_all,
)
from sqlalchemy.orm import (
    aliased,
)

from agentdb.models import (
    TenantUserMembership,
)
from tests.tenancy.shapes.common import (
    C,
    M,
    Shape,
    T,
    U,
    alias,
    name_of,
    tc,
)


def _recursive(_: UUID) -> Any:
    start = select(C.id, literal(0).label("depth")).cte("walk", recursive=True)
    again = select(C.id, start.c.depth + 1).where(start.c.depth < 1)
    return select(start.union_all(again))


def _recursive_core(_: UUID) -> Any:
    start = select(literal(0).label("depth")).cte("walk", recursive=True)
    again = select(start.c.depth + 1).select_from(start.join(tc, true())).where(start.c.depth < 1)
    return select(start.union_all(again))


SUBQUERIES: dict[str, Shape] = {
    "alias": lambda _: select(alias()),
    "attribute of an alias": lambda _: select(alias().id),
    "count of an alias": lambda _: select(func.count()).select_from(alias()),
    "alias and class": lambda _: select(C.id, a := alias()).join(a, true()),
    "alias of a subquery": lambda _: select(aliased(C, select(C).subquery())),
    "flat alias": lambda _: select(aliased(C, flat=True)),
    "named alias": lambda _: select(aliased(C, name="other")),
    "alias of a bare table": lambda _: select(aliased(C, tc)),
    "alias of a bare alias": lambda _: select(aliased(C, tc.alias("bare"))),
    "alias of a bare select": lambda _: select(aliased(C, select(tc).subquery())),
    "sample": lambda _: select(tablesample(C, 100)),
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
    "scalar": lambda c: select(T.id, name_of(c)),
    "scalar alone": lambda c: select(name_of(c)),
    "scalar of an alias": lambda c: select(name_of(c, alias())),
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
    "union": lambda _: union_all(select(C.id), select(C.id)),
    "union of aliases": lambda _: union(select(alias().id), select(alias().id)),
    "union in a subquery": lambda _: select(union_all(select(C.id), select(C.id)).subquery()),
    "select from a union": lambda _: select(C).from_statement(select(C).union_all(select(C))),
    "alias of a union": lambda _: select(aliased(C, union_all(select(C), select(C)).subquery())),
    "union with a bare table": lambda _: union_all(select(C.id), select(tc.c.id)),
    "except": lambda _: select(C.id).except_(select(C.id).where(false())),
    "intersect": lambda _: select(C.id).intersect(select(C.id)),
}
