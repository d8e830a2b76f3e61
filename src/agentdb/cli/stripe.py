"""The commands about Stripe's events; what they do loads when they run."""

from __future__ import annotations

import asyncio

import click

from agentdb.cli.options import json_option, platform_option, schema_option, url_option

limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Print at most so many.",
)


@click.group(short_help="events of Stripe")
def stripe() -> None:
    """Look at the events that Stripe has delivered, and have failed work done again."""


@stripe.command("list", short_help="list events")
@click.option(
    "--outcome",
    type=click.Choice(("received", "processed", "failed")),
    help="Only events that have come so far.",
)
@click.option("--type", "event_type", metavar="TYPE", help="Only events like invoice.paid.")
@limit_option
@url_option
@platform_option
@schema_option
@json_option
def list_(  # noqa: PLR0917 -- click passes options by name
    outcome: str | None,
    event_type: str | None,
    limit: int,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """List events, those received last first."""
    from agentdb.cli import stripe_events as work  # noqa: PLC0415 -- imports SQLAlchemy

    found = work.list_events(outcome=outcome, event_type=event_type, limit=limit)
    work.show_events(asyncio.run(work.reading(url, schema, found)), as_json=as_json)


@stripe.command(short_help="show an event")
@click.argument("event", metavar="EVENT")
@click.option("--payload", is_flag=True, help="Print what Stripe sent, too.")
@url_option
@platform_option
@schema_option
@json_option
def show(
    event: str,
    payload: bool,  # noqa: FBT001 -- click passes options by name
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Show the event with Stripe's id EVENT, and the work of its handlers.

    What Stripe sent may tell of customers: it is printed with --payload alone.
    """
    from agentdb.cli import stripe_events as work  # noqa: PLC0415 -- imports SQLAlchemy

    found = asyncio.run(work.reading(url, schema, work.find_event(event)))
    work.show_event(found, payload=payload, as_json=as_json)


@stripe.command(short_help="list dead work")
@click.option("--handler", metavar="NAME", help="Only the work of this handler.")
@limit_option
@url_option
@platform_option
@schema_option
@json_option
def dead(
    handler: str | None,
    limit: int,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- click passes options by name
) -> None:
    """List work that has no attempts left, the newest first; `stripe replay` gives it one more."""
    from agentdb.cli import stripe_events as work  # noqa: PLC0415 -- imports SQLAlchemy

    found = work.list_dead(handler=handler, limit=limit)
    work.show_work(asyncio.run(work.reading(url, schema, found)), as_json=as_json)


@stripe.command(short_help="have work done again")
@click.argument("event", metavar="EVENT")
@click.option("--handler", metavar="NAME", help="Only the work of this handler.")
@click.option("--force", is_flag=True, help="Completed work too: its effects happen again.")
@url_option
@platform_option
@schema_option
@json_option
def replay(  # noqa: PLR0917 -- click passes options by name
    event: str,
    handler: str | None,
    force: bool,  # noqa: FBT001 -- the same
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Make the failed and dead work on the event with Stripe's id EVENT due at once.

    Work that waits already, that a worker holds, or that is completed stays as it is. Workers of
    the host do the work.
    """
    from agentdb.cli import stripe_events as work  # noqa: PLC0415 -- imports SQLAlchemy

    again = work.reset(event, handler=handler, force=force)
    work.show_replayed(asyncio.run(work.writing(url, schema, again)), as_json=as_json)
