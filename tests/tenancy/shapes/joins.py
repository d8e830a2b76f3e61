"""Joins and loader options."""

from __future__ import annotations

from sqlalchemy import (
    select,
    true,
)
from sqlalchemy.orm import (
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    load_only,
    raiseload,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
)

from agentdb.models import (
    TenantUserMembership,
    UserProfile,
)
from tests.tenancy.shapes.common import (
    C,
    M,
    Shape,
    T,
    U,
    alias,
    conversation,
    joined,
)

JOINS: dict[str, Shape] = {
    "join": lambda _: select(T.id, C.id).join(C, true()),
    "outer join": lambda _: select(T.id, C.id).outerjoin(C, true()),
    "full join": lambda _: select(T.id, C.id).join(C, T.id == C.tenant_id, full=True),
    "join to an alias": lambda _: select(T.id, (a := alias()).id).join(a, true()),
    "join from": lambda _: select(C.id).join_from(T, C, true()),
    "join to a parent": lambda _: select(M.position).join(C, C.id == M.conversation_id),
    "select from two": lambda _: select(T.id, C.id).select_from(T, C),
    "select from a join of classes": lambda _: select(T.id).select_from(joined()),
    "relationship join": lambda _: select(C.id, M.position).join(C.messages),
    "relationship join alone": lambda _: select(C.id).join(C.messages),
    "relationship outer join": lambda _: select(U.id, UserProfile.id).outerjoin(U.profile),
    "relationship to an alias": lambda _: select(C.id, (a := aliased(M)).id).join(
        C.messages.of_type(a)
    ),
    "relationship with more": lambda _: select(C.id, M.id).join(C.messages.and_(M.id > 0)),
    "relationship of people": lambda _: select(U.id, TenantUserMembership.id).join(U.memberships),
    "relationship backwards": lambda _: select(M.id, C.display_name).join(M.conversation),
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
    "with_parent": lambda c: select(M).where(with_parent(conversation(c), C.messages)),
}
