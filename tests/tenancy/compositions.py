"""Random statements over a few models, composed of everything that reads or writes a table."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Text, case, cast, delete, exists, func, select, true, union_all, update
from sqlalchemy.orm import aliased

from agentdb.models import (
    AgentConversation,
    AgentMessage,
    ConversationSummary,
    TenantAccount,
    TenantUserMembership,
    User,
    UserNotificationPreference,
    UserProfile,
    WorkflowRun,
    WorkflowRunStep,
)
from tests.rows import table_of

COLUMNS: dict[type[Any], list[str]] = {
    AgentConversation: ["id", "display_name", "tenant_id"],
    AgentMessage: ["position", "conversation_id", "tool_name"],
    ConversationSummary: ["summary_text", "tenant_id"],
    TenantAccount: ["id", "slug"],
    TenantUserMembership: ["user_id", "tenant_id"],
    User: ["id", "email"],
    UserNotificationPreference: ["user_id", "tenant_id", "channel"],
    UserProfile: ["display_name", "user_id"],
    WorkflowRun: ["id", "trace_id"],
    WorkflowRunStep: ["step_name", "workflow_run_id"],
}
"""Columns of the models to compose statements of."""
TEXTS = {
    AgentConversation: "display_name",
    AgentMessage: "tool_name",
    ConversationSummary: "summary_text",
    TenantAccount: "name",
    UserProfile: "display_name",
    WorkflowRun: "trace_id",
    WorkflowRunStep: "stage_name",
}
"""A column of each that may be written."""

Drawn = Any


@st.composite
def sources(draw: st.DrawFn, depth: int) -> list[Any]:
    """Draw what stands in a FROM, as its columns with the type of text."""
    model: Any = draw(st.sampled_from(list(COLUMNS)))
    kinds = ["class"] * 3 + ["alias"] * 3 + ["table", "table alias"]
    kind = draw(st.sampled_from(kinds + (["subquery", "cte"] * 2 if depth else [])))
    if kind in {"subquery", "cte"}:
        inner = draw(selects(depth - 1, columns=2))
        return list((inner.subquery() if kind == "subquery" else inner.cte()).c)
    bare = {"table": table_of(model).c, "table alias": table_of(model).alias().c}
    owner: Any = bare.get(kind) or (model if kind == "class" else aliased(model))
    return [cast(getattr(owner, name), Text) for name in COLUMNS[model]]


@st.composite
def expressions(draw: st.DrawFn, columns: list[Any], depth: int) -> Any:
    """Draw a text from columns and subqueries."""
    one, other = draw(st.sampled_from(columns)), draw(st.sampled_from(columns))
    plain: list[Any] = [
        one,
        one,
        func.coalesce(one, other),
        one + other,
        case((one == other, one), else_="-"),
        cast(func.length(one), Text),
    ]
    kind: Any = draw(st.sampled_from([*plain, *(("scalar", "exists") if depth else ())]))
    if not isinstance(kind, str):
        return kind
    inner: Any = draw(selects(depth - 1, columns=1, outer=columns))
    return inner.limit(1).scalar_subquery() if kind == "scalar" else cast(exists(inner), Text)


@st.composite
def conditions(draw: st.DrawFn, columns: list[Any], depth: int) -> Any:
    """Draw a condition on columns and subqueries."""
    one: Any = draw(expressions(columns, 0))
    if not depth or draw(st.booleans()):
        other: Any = draw(expressions(columns, 0))
        plain = [one == other, one != other, one.is_not(None), ~one.contains("beta")]
        return draw(st.sampled_from(plain))
    inner: Any = draw(selects(depth - 1, columns=1, outer=columns))
    return draw(st.sampled_from([exists(inner), ~exists(inner), one.in_(inner), one.not_in(inner)]))


@st.composite
def selects(
    draw: st.DrawFn, depth: int, *, columns: int | None = None, outer: list[Any] | None = None
) -> Any:
    """Draw a SELECT; *outer* columns it may be correlated by."""
    parts = draw(st.lists(sources(depth), min_size=1, max_size=2))
    seen = [column for part in parts for column in part]
    width = columns or draw(st.integers(1, 3))
    chosen = [draw(expressions(seen, depth)).label(f"c{n}") for n in range(width)]
    statement = select(*chosen)
    for part in parts[1:]:
        if draw(st.booleans()):
            table = part[0].clause.table if hasattr(part[0], "clause") else part[0].table
            target = (
                part[0].clause._annotations.get("parententity")
                if hasattr(part[0], "clause")
                else None
            )
            onto = table if target is None else target.entity
            statement = statement.join(onto, draw(st.sampled_from([true(), seen[0] == part[0]])))
    for _ in range(draw(st.integers(0, 2))):
        statement = statement.where(draw(conditions(seen + (outer or []), depth)))
    if draw(st.booleans()):
        statement = statement.order_by(draw(st.sampled_from(seen)))
    return statement


@st.composite
def reads(draw: st.DrawFn) -> Any:
    """Draw a SELECT or a union of two."""
    one: Any = draw(selects(1, columns=2))
    return union_all(one, draw(selects(0, columns=2))) if draw(st.booleans()) else one


@st.composite
def writes(draw: st.DrawFn) -> Any:
    """Draw an UPDATE or a DELETE."""
    model: Any = draw(st.sampled_from(list(TEXTS)))
    target: Any = draw(st.sampled_from([model, model, model, table_of(model)]))
    owner: Any = draw(st.sampled_from([model, model, aliased(model), table_of(model).c]))
    seen = [cast(getattr(owner, name), Text) for name in COLUMNS[model]]
    value: Any = draw(st.sampled_from(["hack", draw(expressions(seen, 1))]))
    statement: Any = delete(target)
    if draw(st.booleans()):
        statement = update(target).values({TEXTS[model]: value})
    for _ in range(draw(st.integers(0, 2))):
        statement = statement.where(draw(conditions(seen, 1)))
    return statement.execution_options(synchronize_session=False)
