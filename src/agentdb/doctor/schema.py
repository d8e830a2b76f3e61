"""The tables: which revision, and whether they are as the models say."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from agentdb import catalog, migrate
from agentdb.doctor.report import Finding, Status
from agentdb.migrate import State

_SHOWN = 5
_ADVICE = {
    State.BEHIND: "run `agentdb upgrade`",
    State.UNMANAGED: "run `agentdb adopt`",
    State.FOREIGN: "use another database, or another schema",
    State.AHEAD: "install the newer release",
}


def verdict(connection: Connection) -> Iterator[Finding]:
    """Yield what the database is to this release."""
    found = migrate.verdict(connection)
    status = Status.OK if found.safe else Status.PROBLEM
    if found.safe and found.state is State.AHEAD:
        status = Status.WARNING
    yield Finding("verdict", status, f"{found.state}: {found.detail}", _ADVICE.get(found.state))


def drift(connection: Connection) -> Iterator[Finding]:
    """Yield how the tables differ from the models, where they ought to be alike."""
    state = migrate.verdict(connection).state
    if state not in {State.CURRENT, State.UNMANAGED}:
        yield Finding("drift", Status.OK, "not compared: not at the revision of this release")
        return
    found = [d for d in catalog.differences(connection) if not d.informational]
    if not found:
        yield Finding("drift", Status.OK, "none")
        return
    more = ", …" if len(found) > _SHOWN else ""
    keys = ", ".join(difference.key for difference in found[:_SHOWN])
    status = Status.WARNING if all(d.harmless for d in found) else Status.PROBLEM
    advice = "`agentdb check` shows what is expected and found"
    yield Finding("drift", status, f"{len(found)}: {keys}{more}", advice)
