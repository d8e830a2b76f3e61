"""Functions of a host that keep tenants apart, and functions that do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import func, select, text, update

from agentdb import NewMessage, UnitOfWork
from agentdb.auth.values import TenantRole
from agentdb.errors import NotFoundError
from agentdb.models import (
    AgentConversation,
    AgentMessage,
    BillingPlan,
    TenantAccount,
    TenantUserMembership,
    User,
    WorkflowRun,
)
from agentdb.testing import TenantCase

Function = Callable[[TenantCase], Any]
FOREIGN = {"agentdb_confined": True}


@dataclass(slots=True)
class Card:
    """What a host makes of a conversation."""

    title: str | None
    owner: dict[str, UUID]


class Reply(BaseModel):
    """The body of a host's answer."""

    items: list[str | None]


class Plain:
    """An object that is neither."""

    def __init__(self, value: object) -> None:
        self.value = value


class HttpError(Exception):
    """What a host raises for its framework."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status)
        self.detail = detail


async def everything(case: TenantCase) -> list[AgentConversation]:
    """Return all conversations there are, past the filter."""
    async with case.database.begin_system(reason="a leak") as unit:
        return list(await unit.agent_conversations.all())


async def others(case: TenantCase) -> list[AgentConversation]:
    """Return what is not the caller's."""
    return [row for row in await everything(case) if row.tenant_id != case.tenant]


async def as_system(case: TenantCase, work: Callable[[UnitOfWork], Any]) -> Any:
    """Run something in a system unit."""
    async with case.database.begin_system(reason="a leak") as unit:
        return await work(unit)


async def transcript(case: TenantCase) -> list[str | None]:
    """Read a conversation."""
    page = await case.unit.agent_messages.transcript(case.row(AgentConversation).id)
    return [message.text for message in page]


async def say(case: TenantCase) -> None:
    """Write into a conversation, in a unit of its own."""
    async with case.database.begin(tenant=case.tenant) as unit:
        await unit.agent_messages.append(
            case.row(AgentConversation).id, [NewMessage(role="user", content="Hi")]
        )


async def open_conversation(case: TenantCase) -> AgentConversation:
    """Get a conversation by the host's key, or make it."""
    row, _ = await case.unit.agent_conversations.get_or_create(
        case.row(AgentConversation).external_key, "triage"
    )
    return row


async def by_session(case: TenantCase) -> list[str | None]:
    """Select with a condition of the host's own."""
    query = select(AgentConversation.display_name).where(AgentConversation.tenant_id == case.tenant)
    return list(await case.session.scalars(query))


async def refuse(case: TenantCase) -> AgentConversation:
    """Answer with an error of the host's own."""
    row = await case.unit.agent_conversations.by_ref(case.row(AgentConversation).id)
    if row is None:
        raise HttpError(404, f"no conversation {case.row(AgentConversation).id}")
    return row


async def streamed(case: TenantCase) -> AsyncIterator[AgentConversation]:
    """Yield conversations."""
    for row in await case.unit.agent_conversations.all():
        yield row


async def pending(case: TenantCase) -> None:
    """Leave something to the flush."""
    row = await case.unit.agent_conversations.require(case.row(AgentConversation).id)
    row.display_name = "renamed"


CORRECT: dict[str, Function] = {
    "transcript": transcript,
    "append": say,
    "get or create": open_conversation,
    "a host's own condition": by_session,
    "a host's error with the id": refuse,
    "stream": streamed,
    "pending change": pending,
    "count": lambda case: case.unit.agent_conversations.count(),
    "synchronous function": lambda case: str(case.row(AgentConversation).id),
    "plans": lambda case: case.unit.billing_plans.all(),
    "one plan": lambda case: case.unit.billing_plans.require(case.row(BillingPlan).id),
    "members": lambda case: case.unit.tenant_user_memberships.all(),
}


async def total(case: TenantCase) -> dict[str, int]:
    """Count everybody's."""
    return {"total": len(await everything(case))}


async def exists(case: TenantCase) -> bool:
    """Tell whether anybody has a conversation."""
    keys = {row.id for row in await everything(case)}
    return case.row(AgentConversation).id in keys


async def hidden_id(case: TenantCase) -> str:
    """Show an id without its dashes, in capitals."""
    return " ".join(f"see {row.id.hex.upper()}." for row in await others(case))


async def number(case: TenantCase) -> list[int]:
    """Show the numbers of messages."""
    return list(await case.session.scalars(select(AgentMessage.id)))


async def card(case: TenantCase) -> tuple[Card, ...]:
    """Show an owner in a dataclass with slots."""
    return tuple(Card("x", {"tenant": row.tenant_id}) for row in await others(case))


async def reply(case: TenantCase) -> Reply:
    """Show names in a pydantic model."""
    return Reply(items=[row.display_name for row in await others(case)])


async def plain(case: TenantCase) -> Plain:
    """Show bytes in an object in a set in a mapping's key."""
    names = {(row.display_name or "").encode() for row in await others(case)}
    return Plain({frozenset(names): None})


async def told(case: TenantCase) -> None:
    """Show a name in the note of an error's cause."""
    rows = await others(case)
    if rows:
        cause = LookupError()
        cause.add_note(str(rows[0].display_name))
        raise NotFoundError("no more") from cause


async def refused(case: TenantCase) -> None:
    """Say of foreign rows what is not said of rows that nobody has."""
    for row in await everything(case):
        if row.id == case.row(AgentConversation).id:
            if row.tenant_id != case.tenant:
                raise HttpError(403, "not yours")
            return
    raise HttpError(404, "no such conversation")


async def statused(case: TenantCase) -> str:
    """Tell by the kind of error alone."""
    try:
        await refused(case)
    except HttpError as error:
        if error.detail == "not yours":
            raise PermissionError("no") from None
        raise LookupError("no") from None
    return "ok"


async def changed(case: TenantCase) -> None:
    """Rename everybody's conversations."""
    statement = update(AgentConversation).values(display_name="changed")
    await case.session.execute(statement)


async def changed_then_raised(case: TenantCase) -> None:
    """Commit a change of a foreign row before refusing."""
    async with case.database.begin_system(reason="a leak") as unit:
        row = await unit.agent_conversations.require(case.row(AgentConversation).id)
        row.display_name = "changed"


async def deleted(case: TenantCase) -> None:
    """Delete the row that the call is told of, whoever has it."""
    await as_system(
        case, lambda unit: unit.agent_conversations.delete(case.row(AgentConversation).id)
    )


async def linked(case: TenantCase) -> None:
    """Add a person by id to the caller's tenant."""
    user = case.row(User).id
    if await case.session.get(User, user) is None:
        return
    rows = await case.session.scalars(
        select(TenantUserMembership).where(
            TenantUserMembership.tenant_id == case.tenant, TenantUserMembership.user_id == user
        )
    )
    if rows.first() is None:
        case.session.add(
            TenantUserMembership(tenant_id=case.tenant, user_id=user, role=TenantRole.MEMBER)
        )


async def linked_without_a_key(case: TenantCase) -> None:
    """Store a foreign id in a column that no foreign key guards."""
    run = await case.session.scalar(
        select(WorkflowRun).where(WorkflowRun.tenant_id == str(case.tenant))
    )
    assert run is not None
    run.user_id = str(case.row(User).id)


async def copied(case: TenantCase) -> None:
    """Keep a foreign name in a row of the caller's."""
    rows = await others(case)
    if rows:
        own = await case.session.get_one(TenantAccount, case.tenant)
        own.name = f"after {rows[0].display_name}"


async def logged(case: TenantCase) -> None:
    """Write a row of the caller's that tells whether a foreign row is there."""
    there = await exists(case)
    own = await case.session.get_one(TenantAccount, case.tenant)
    own.name = f"asked: {there}"


async def ordered(case: TenantCase) -> int:
    """Give a row the next number among everybody's."""
    query = select(func.count()).select_from(AgentConversation)
    return (await case.session.execute(query)).scalar_one() + 1


async def raw(case: TenantCase) -> Any:
    """Select by SQL in a confined session, past the filter."""
    query = text("SELECT display_name FROM agent_conversations")
    return (await case.unit.session.execute(query, execution_options=FOREIGN)).all()


async def loaded(case: TenantCase) -> list[User]:
    """Show memberships of a person in other tenants, through a relationship."""
    users = await as_system(case, lambda unit: unit.users.all())
    mine = [user for user in users if user.id == case.row(User).id]
    for user in mine:
        query = select(TenantUserMembership).where(TenantUserMembership.user_id == user.id)
        user.__dict__["memberships"] = list(await case.session.scalars(query))
    return mine


async def unowned(case: TenantCase) -> list[Any]:
    """Show rows of nobody."""
    rows = await as_system(case, lambda unit: unit.workflow_runs.all())
    users = await as_system(case, lambda unit: unit.usage_counters.all())
    return [*rows, *users]


LEAKY: dict[str, tuple[Function, str]] = {
    "count": (total, "beside another tenant it tells '2' instead of '1'"),
    "existence": (exists, "told of rows of another tenant"),
    "id without dashes": (hidden_id, "the result shows"),
    "number": (number, "the result shows"),
    "dataclass": (card, "the result shows"),
    "pydantic model": (reply, "the result shows"),
    "bytes in an object": (plain, "the result shows"),
    "model": (everything, "the result shows"),
    "note of a cause": (told, "the error shows"),
    "words of an error": (refused, "told of rows of another tenant"),
    "kind of an error": (statused, "told of rows of another tenant"),
    "change": (changed, "a row of another tenant was changed in agent_conversations"),
    "change by id": (changed_then_raised, "a row of another tenant was changed"),
    "deletion by id": (deleted, "a row of another tenant was deleted in agent_messages"),
    "link": (linked, "tenant_user_memberships.user_id of a written row refers to"),
    "link without a foreign key": (linked_without_a_key, "workflow_runs.user_id of a written row"),
    "copy": (copied, "a row written to tenant_accounts shows"),
    "stored answer": (logged, "it writes"),
    "order": (ordered, "beside another tenant"),
    "raw statement": (raw, "the result shows"),
    "relationship": (loaded, "the result shows"),
    "rows of nobody": (unowned, "the result shows"),
}
