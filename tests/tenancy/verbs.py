"""All public verbs of a repository, and arguments for them made from a tenant's rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from inspect import Parameter, isasyncgenfunction, iscoroutinefunction, signature
from typing import Any, NoReturn, get_type_hints

from sqlalchemy import and_

from agentdb.auth.credentials import NewToken
from agentdb.billing.rows import NewPlan
from agentdb.conversations.rows import NewMessage, NewRunEvent
from agentdb.ledger.rows import LedgerPage
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.unit_of_work import UnitOfWork
from tests.rows import (
    DISTANT,
    INSTANT,
    MODELS,
    Rows,
    attribute_of,
    key_of,
    parent_of,
    row_of,
    table_of,
    values_of,
)

Make = Callable[[str, Rows], Any]
"""Makes an argument from the table of the repository and the rows of a tenant."""


def _always(value: Any) -> Make:
    def make(_table: str, _rows: Rows) -> Any:
        return value

    return make


def _of(table: str, attribute: str) -> Make:
    def make(_table: str, rows: Rows) -> Any:
        return getattr(rows[table], attribute)

    return make


def _stored(table: str, rows: Rows) -> dict[str, Any]:
    columns = [column for column in table_of(MODELS[table]).columns if column.computed is None]
    return {attribute_of(c): getattr(rows[table], attribute_of(c)) for c in columns}


def _cited(rows: Rows) -> dict[str, str]:
    cited: dict[str, str] = rows["conversation_ledger_events"].payload_json["citation"]
    return cited


def _day(table: str, rows: Rows) -> date:
    """Return the beginning of a window, as totals of the table take it."""
    day: date = rows["usage_counters"].period_start
    return day if table == "usage_counters" else INSTANT


ARGUMENTS: dict[str, Make] = {
    "key": lambda table, rows: key_of(rows[table]),
    "keys": lambda table, rows: [key_of(rows[table])],
    "row": lambda table, rows: row_of(table, "new", rows),
    "rows": lambda table, rows: [row_of(table, "new", rows)],
    "values": _stored,
    "conflict": lambda table, rows: list(_key_columns(table, rows)),
    "include_deleted": _always(value=True),
    "lock": _always(value=True),
    "ref": _of("agent_conversations", "id"),
    "get_or_create.key": _of("agent_conversations", "external_key"),
    "messages": _always([NewMessage(role="user", content="new")]),
    "events": _always([NewRunEvent(run_item_type="message", content_text="new")]),
    "frames": _always(
        [
            {
                "schema": "public_sse_v1",
                "kind": "lifecycle",
                "stream_id": "new",
                "event_id": 1,
                "server_timestamp": INSTANT.isoformat(),
            }
        ]
    ),
    "stream_id": _of("conversation_ledger_events", "stream_id"),
    "last_event_id": _always(0),
    "cites_container_file.container_id": lambda _, rows: _cited(rows)["container_id"],
    "cites_container_file.file_id": lambda _, rows: _cited(rows)["file_id"],
    "run_id": _of("workflow_runs", "id"),
    "step_id": _of("workflow_run_steps", "id"),
    "bucket_id": _of("storage_buckets", "id"),
    "object_id": _of("storage_objects", "id"),
    "start.user_id": _of("users", "id"),
    "conversation": _of("agent_conversations", "id"),
    "finish.status": _always("succeeded"),
    "attempt": _of("conversation_run_queue_items", "attempt_count"),
    "payload": _always({"new": True}),
    "error": _always({"code": "new"}),
    "query": lambda _, rows: rows["agent_messages"].content["text"],
    "plans": lambda _, rows: [NewPlan(code=rows["billing_plans"].code, name="n", price_cents=1)],
    "conversation_ids": lambda _, rows: [rows["agent_conversations"].id],
    "n": _always(1),
    "totals.start": _day,
    "totals.end": lambda table, rows: _day(table, rows) + timedelta(days=1),
    "set_title.display_name": _always("new"),
    "touch.last_active_at": _always(INSTANT + timedelta(days=1)),
    "handlers": _always(["new"]),
    "container_id": _of("containers", "id"),
    "vector_store_id": _of("vector_stores", "id"),
    "claim_for_sync.min_age": _always(timedelta(0)),
    "create.openai_id": _always("new"),
    "attach_remote.openai_id": _always("new"),
    "record.action": _always("new"),
    "event_ids": lambda _, rows: [rows["activity_events"].id],
    "renew_verification.expires_at": _always(DISTANT),
    "advance.created_at": _always(INSTANT),
    "mark_all.status": _always("dismissed"),
    "recipients.severity": _always("all"),
    "token_hash": _always("new"),
    "by_token_hash.token_hash": _of("tenant_signup_invites", "token_hash"),
    "encrypted": _always(b"new"),
    "cap": _always(1),
    "invite": lambda _table, rows: rows["tenant_signup_invites"],
    "at": _always(INSTANT),
    "scopes": lambda _, rows: [rows["service_account_tokens"].scope_key],
    "issue.token": _always(
        NewToken(refresh_token_hash="new", refresh_jti="new", signing_kid="new", expires_at=INSTANT)
    ),
    "patch_flags.flags": _always({"new": True}),
    "revoke.reason": _always("new"),
    "revoke_all.reason": _always("new"),
    "credential": _always({"id": "new"}),
    "step_started_at": _always(INSTANT),
    "code_hashes": lambda _, rows: [rows["user_recovery_codes"].code_hash],
    "window": _always(timedelta(days=36_500)),
    "decide.status": _always("approved"),
    "decide.decided_by": _of("users", "id"),
    "release.reason": _always("new"),
    "trim.keep": _always(0),
    "pepper_version": _of("password_history", "password_pepper_version"),
    "role": _of("tenant_user_memberships", "role"),
}
"""Arguments by the name of the parameter, or by ``verb.parameter``; a parameter that is named as a
column of the table takes the value of the tenant's row."""

WIDE = {
    "activity_events.search",
    "activity_last_seen.count_unread",
    "status_subscriptions.recipients",
    "status_subscriptions.search",
    "agent_containers.bindings",
    "agent_run_usage.totals",
    "agent_vector_stores.bindings",
    "plan_features.limit",
    "storage_buckets.default",
    "subscription_invoices.for_tenant",
    "subscription_usage.decide",
    "tenant_settings.get_or_default",
    "tenant_subscriptions.current",
    "tenant_subscriptions.edit",
    "tenant_user_memberships.members",
    "usage_counters.totals",
}
"""Verbs that no argument leads to a row: they are about all that the unit sees."""

LEFT = {
    "since",
    "until",
    "order",
    "after",
    "limit",
    "batch",
    "update",
    "now",
    "direction",
    "visible_only",
    "kinds",
}
"""Optional parameters that lead to no row."""


@dataclass(frozen=True, eq=False)
class Call:
    """A verb with its arguments.

    Attributes:
        verb: The name of the verb.
        arguments: By position.
        options: By keyword.
        names_row: Whether an argument leads to a row; else the verb is about all of them.
        takes_tenant: Whether a tenant can be given too.
        names_tenant: Whether it is.
        refuses: Whether the verb is there to refuse.
    """

    verb: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    names_row: bool = True
    takes_tenant: bool = False
    names_tenant: bool = False
    refuses: bool = False

    def __str__(self) -> str:
        given = [type(argument).__name__ for argument in self.arguments]
        return f"{self.verb}({', '.join([*given, *self.options])})"

    async def on(self, unit: UnitOfWork, table: str) -> Any:
        """Run the verb; a stream is read to its end."""
        result: Any = getattr(getattr(unit, table), self.verb)(*self.arguments, **self.options)
        if isinstance(result, AsyncIterator):
            rows: AsyncIterator[Any] = result  # pyright: ignore[reportUnknownVariableType] -- of Any
            return [row async for row in rows]
        return await result


def verbs_of(repository: Repository[Any, Any]) -> dict[str, Callable[..., Any]]:
    """Return the public verbs of a repository, inherited ones included."""
    public = [n for n in dir(type(repository)) if n[0] != "_"]
    verbs = {name: getattr(repository, name) for name in public}
    return {n: verb for n, verb in verbs.items() if callable(verb) and not isinstance(verb, type)}


def calls(repository: Repository[Any, Any], rows: Rows) -> Iterator[Call]:
    """Yield calls of all verbs of a repository with arguments that lead to *rows*."""
    verbs = verbs_of(repository)
    refusing = {n for n, verb in verbs.items() if get_type_hints(verb)["return"] is NoReturn}
    if "add_many" in refusing:
        refusing.add("add")  # which ends in it
    for name, verb in verbs.items():
        assert iscoroutinefunction(verb) or isasyncgenfunction(verb), f"{name} is not async"
        yield from _calls(name, verb, repository.model.__tablename__, rows, refusing)


def _calls(
    name: str, verb: Callable[..., Any], table: str, rows: Rows, refusing: set[str]
) -> Iterator[Call]:
    parameters = list(signature(verb).parameters.values())
    arguments: list[Any] = []
    options: dict[str, Any] = {}
    refuses = name in refusing
    for parameter in parameters:
        match parameter.kind:
            case Parameter.VAR_POSITIONAL:
                yield Call(name, (), dict(options), names_row=False, refuses=refuses)
                arguments.append(_condition(table, rows))
            case Parameter.VAR_KEYWORD:
                options |= _plain_values(table, rows) if parameter.name == "values" else {}
            case Parameter.KEYWORD_ONLY if parameter.default is not Parameter.empty:
                if parameter.name not in {*LEFT, "tenant_id"}:
                    options[parameter.name] = _argument(name, parameter, table, rows)
            case Parameter.KEYWORD_ONLY:
                options[parameter.name] = _argument(name, parameter, table, rows)
            case _ if parameter.default is Parameter.empty:
                arguments.append(_argument(name, parameter, table, rows))
            case _:
                assert parameter.name in LEFT, f"{table}.{name}: what is {parameter.name}?"
    names_row = f"{table}.{name}" not in WIDE
    called = Call(name, tuple(arguments), options, names_row=names_row, refuses=refuses)
    if not any(p.name == "tenant_id" and p.default is None for p in parameters):
        yield called
        return
    named = {**options, "tenant_id": rows["tenant_accounts"].id}
    yield replace(called, takes_tenant=True)
    yield replace(called, takes_tenant=True, names_tenant=True, options=named)
    if any(p.name == "ref" for p in parameters):
        by_key = (rows["agent_conversations"].external_key, *arguments[1:])
        yield replace(called, takes_tenant=True, arguments=by_key)


def _argument(verb: str, parameter: Parameter, table: str, rows: Rows) -> Any:
    make = ARGUMENTS.get(f"{verb}.{parameter.name}") or ARGUMENTS.get(parameter.name)
    if make is not None:
        return make(table, rows)
    if hasattr(rows[table], parameter.name):
        return getattr(rows[table], parameter.name)
    if parameter.default is not Parameter.empty:
        return parameter.default
    raise AssertionError(
        f"no argument for `{parameter.name}` of `{table}.{verb}`: add one to ARGUMENTS in "
        "tests/tenancy/verbs.py that leads to a row of the tenant"
    )


def _key_columns(table: str, rows: Rows) -> dict[str, Any]:
    names = [attribute_of(column) for column in table_of(MODELS[table]).primary_key]
    return {name: getattr(rows[table], name) for name in names}


def _condition(table: str, rows: Rows) -> Any:
    columns = _key_columns(table, rows).items()
    return and_(*(getattr(MODELS[table], name) == value for name, value in columns))


def _plain_values(table: str, rows: Rows) -> dict[str, Any]:
    """Return a column to update that refers to nothing, where the table has one."""
    values = values_of(table, "new", rows)
    plain = [
        column
        for column in table_of(MODELS[table]).columns
        if not column.primary_key and parent_of(column) is None and attribute_of(column) in values
    ]
    plain.sort(key=lambda column: not column.nullable)
    return {attribute_of(column): values[attribute_of(column)] for column in plain[:1]}


def is_nothing(result: object) -> bool:
    """Whether a verb has found, or done, nothing."""
    found: object = result
    if isinstance(result, Page | LedgerPage):
        page: Page[Any] | LedgerPage = result  # pyright: ignore[reportUnknownVariableType] -- of Any
        found = page.items
    return not found
