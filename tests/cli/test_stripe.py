"""Stripe's events from the command line."""

from __future__ import annotations

import json

import pytest

from agentdb import UnitOfWork
from agentdb.cli.failures import ExitCode
from tests.cli.command import agentdb, document, rows, sentence
from tests.cli.deliveries import SECRET, attempt, deliver, in_unit

pytestmark = pytest.mark.agentdb_commits


def test_events_are_listed_newest_first(agentdb_url: str) -> None:
    """All, or those that were chosen, up to a limit."""
    for number in range(3):
        deliver(agentdb_url, f"evt_{number}", "billing_sync")
    deliver(agentdb_url, "evt_other", kind="customer.created")

    def listed(*arguments: str) -> list[str]:
        return [row[0] for row in rows(agentdb("stripe", "list", *arguments, url=agentdb_url))]

    assert listed() == ["evt_other", "evt_2", "evt_1", "evt_0"]
    assert listed("--limit", "2") == ["evt_other", "evt_2"]
    assert listed("--outcome", "processed") == ["evt_other"]
    assert listed("--type", "invoice.paid", "--outcome", "received", "--limit", "1") == ["evt_2"]
    assert listed("--type", "nonsense") == []


def test_more_than_a_page_is_listed(agentdb_url: str) -> None:
    """The limit is the call's, and not that of a page."""

    async def many(uow: UnitOfWork) -> None:
        for number in range(502):
            await uow.stripe_events.ingest(f"evt_{number}", "a", {}, [])

    in_unit(agentdb_url, many)

    found = document(agentdb("stripe", "list", "--json", "--limit", "501", url=agentdb_url))
    assert len({event["event"] for event in found["events"]}) == 501


def test_an_event_is_shown_with_the_work_on_it(agentdb_url: str) -> None:
    """By the name of the handler; what Stripe sent is not."""
    deliver(agentdb_url, "evt_1", "invoice_sync", "billing_sync")
    attempt(agentdb_url)

    shown = agentdb("stripe", "show", "evt_1", url=agentdb_url)
    found = document(agentdb("stripe", "show", "evt_1", "--json", url=agentdb_url))

    assert ["event", "outcome", "failed"] in rows(shown)
    assert [row[1:4] for row in rows(shown) if row[0] == "work"] == [
        ["billing_sync", "failed", "1"],
        ["invoice_sync", "failed", "1"],
    ]
    assert (found["event"]["event"], found["event"]["error"]) == ("evt_1", "Timeout")
    assert [work["error"] for work in found["work"]] == ["Timeout", "Timeout"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_stripe_sent_is_printed_on_request_alone(agentdb_url: str, form: list[str]) -> None:
    """By no command but `show`, which is told to."""
    deliver(agentdb_url, "evt_1", "billing_sync")
    attempt(agentdb_url, max_attempts=1)
    calls = (["list"], ["show", "evt_1"], ["dead"], ["replay", "evt_1"])

    for call in calls:
        assert SECRET not in agentdb("stripe", *call, *form, url=agentdb_url).output
    told = agentdb("stripe", "show", "evt_1", "--payload", *form, url=agentdb_url)
    assert json.dumps(SECRET) in told.stdout


def test_dead_work_is_listed(agentdb_url: str) -> None:
    """With its event, of all handlers or of one; what may be tried again is not."""
    deliver(agentdb_url, "evt_1", "a", "b")
    attempt(agentdb_url, max_attempts=1)
    deliver(agentdb_url, "evt_2", "a")
    attempt(agentdb_url)

    dead = rows(agentdb("stripe", "dead", url=agentdb_url))
    one = document(agentdb("stripe", "dead", "--handler", "b", "--json", url=agentdb_url))

    assert sorted(row[:5] for row in dead) == [
        ["evt_1", "invoice.paid", handler, "dead", "1"] for handler in "ab"
    ]
    assert [(work["event"], work["handler"]) for work in one["work"]] == [("evt_1", "b")]


def test_dead_work_is_done_again(agentdb_url: str) -> None:
    """It is due at once; completed work is left, unless it is forced."""
    deliver(agentdb_url, "evt_1", "a")
    attempt(agentdb_url, fails=False)
    deliver(agentdb_url, "evt_1", "b")
    attempt(agentdb_url, max_attempts=1)

    again = agentdb("stripe", "replay", "evt_1", url=agentdb_url)
    assert [row[:3] for row in rows(again)] == [["b", "pending", "1"]]
    assert again.stderr == "a: completed, left as it is\n"
    assert attempt(agentdb_url, fails=False) == ["b"]

    forced = agentdb("stripe", "replay", "evt_1", "--force", url=agentdb_url)
    assert [row[0] for row in rows(forced)] == ["a", "b"]
    assert sorted(attempt(agentdb_url, fails=False)) == ["a", "b"]


def test_the_work_of_one_handler_is_done_again(agentdb_url: str) -> None:
    """That of the others stays as it is."""
    deliver(agentdb_url, "evt_1", "a", "b")
    attempt(agentdb_url, max_attempts=1)

    result = agentdb("stripe", "replay", "evt_1", "--handler", "b", "--json", url=agentdb_url)

    assert [work["handler"] for work in document(result)["due"]] == ["b"]
    assert attempt(agentdb_url) == ["b"]


def test_a_replay_may_be_repeated(agentdb_url: str) -> None:
    """Work that waits already is no failure."""
    deliver(agentdb_url, "evt_1", "a")
    attempt(agentdb_url, max_attempts=1)
    agentdb("stripe", "replay", "evt_1", url=agentdb_url)

    again = agentdb("stripe", "replay", "evt_1", url=agentdb_url)

    assert (again.exit_code, again.stdout) == (ExitCode.DONE, "")
    assert again.stderr == "a: pending, left as it is\n"


def test_nothing_to_replay_is_a_failure(agentdb_url: str) -> None:
    """As it is where a worker holds the work."""
    deliver(agentdb_url, "evt_1", "a")

    async def claim(uow: UnitOfWork) -> int:
        return len(await uow.stripe_event_dispatch.claim())

    assert in_unit(agentdb_url, claim) == 1
    result = agentdb("stripe", "replay", "evt_1", "--force", url=agentdb_url)

    assert (result.exit_code, result.stdout) == (ExitCode.FAILED, "")
    assert result.stderr.splitlines() == [
        "a: in_progress, left as it is",
        "Error: there is nothing to replay",
    ]


@pytest.mark.parametrize("call", [["show", "evt_2"], ["replay", "evt_2"]])
def test_an_unknown_event_is_named(agentdb_url: str, call: list[str]) -> None:
    """So that what was mistyped is seen."""
    deliver(agentdb_url, "evt_1", "a")

    assert sentence(agentdb("stripe", *call, url=agentdb_url)) == "there is no event 'evt_2'"


def test_an_unknown_handler_is_named(agentdb_url: str) -> None:
    """Nothing is done again then."""
    deliver(agentdb_url, "evt_1", "a")
    attempt(agentdb_url, max_attempts=1)

    result = agentdb("stripe", "replay", "evt_1", "--handler", "c", url=agentdb_url)

    assert sentence(result) == "the event has no handler 'c'"
    assert attempt(agentdb_url) == []


def test_json_may_stand_before_the_group(agentdb_url: str) -> None:
    """Shared options hold for the commands of a group too."""
    assert document(agentdb("--json", "stripe", "list", url=agentdb_url)) == {"events": []}
    found = agentdb("stripe", "list", url=agentdb_url, AGENTDB_JSON="1")
    assert document(found) == {"events": []}


@pytest.mark.parametrize(
    "call", [["nonsense"], ["show"], ["list", "--outcome", "x"], ["dead", "--limit", "0"]]
)
def test_a_wrong_call_is_refused(call: list[str]) -> None:
    """Before a database is looked for."""
    result = agentdb("stripe", *call)

    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
