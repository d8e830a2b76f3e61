"""Bare tables."""

from __future__ import annotations

from sqlalchemy import (
    case,
    exists,
    func,
    select,
    tablesample,
    true,
)

from tests.tenancy.shapes.common import (
    C,
    Shape,
    T,
    tc,
    tm,
    tt,
)

TABLES: dict[str, Shape] = {
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
