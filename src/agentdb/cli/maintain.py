"""The command that runs maintenance verbs; what it does loads when it runs."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from agentdb.cli.options import (
    batch_option,
    json_option,
    platform_option,
    schema_option,
    setting,
    url_option,
)

_AGE = re.compile(r"(\d{1,10})([dhms])", re.ASCII)
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
LONGEST = timedelta(days=36_525)
"""The longest age that can be asked for: 100 years."""


def age(_ctx: click.Context, _: click.Parameter, given: str | None) -> timedelta | None:
    """Return the age that a text like ``90d`` tells.

    Raises:
        BadParameter: It tells none, or one above 100 years.
    """
    if given is None:
        return None
    match = _AGE.fullmatch(given)
    if match is None:
        raise click.BadParameter("expects a number and a unit: 90d, 12h, 30m or 45s")
    found = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if found > LONGEST:
        raise click.BadParameter("expects 100 years at the most")
    return found


@click.command(short_help="tidy the tables")
@click.argument("verbs", nargs=-1, metavar="[VERB…]")
@click.option("--all", "every", is_flag=True, help="Run all verbs.")
@click.option("--list", "listing", is_flag=True, help="List the verbs, and run none.")
@click.option(
    "--older-than",
    callback=age,
    metavar="AGE",
    show_default="of each verb",
    help="Only what is older: 90d, 12h, 30m or 45s.",
)
@setting(
    "--tenant",
    "AGENTDB_TENANT",
    metavar="SLUG",
    show_default="all",
    help="Only what belongs to this tenant.",
)
@batch_option(1000)
@click.option(
    "--max-batches",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="no limit",
    help="End each verb after so many transactions.",
)
@click.option("--dry-run", is_flag=True, help="Only count what would be changed now.")
@click.option("--repair", is_flag=True, help="Let `reconcile` put right what it finds.")
@url_option
@platform_option
@schema_option
@json_option
def maintain(  # noqa: PLR0917 -- click passes options by name
    verbs: tuple[str, ...],
    every: bool,  # noqa: FBT001 -- the same
    listing: bool,  # noqa: FBT001 -- the same
    older_than: timedelta | None,
    tenant: str | None,
    batch: int,
    max_batches: int | None,
    dry_run: bool,  # noqa: FBT001 -- the same
    repair: bool,  # noqa: FBT001 -- the same
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Run maintenance verbs, one after the other, and print what became of how many rows.

    Without a VERB, the verbs are listed with their ages. Each works in batches, a transaction each,
    and skips what is locked; the command may be killed and run again, and may run several times at
    once. With --all and --tenant, verbs of tables that belong to no tenant are left out. One that
    fails keeps no other from running; the exit code is then 1.
    """
    from agentdb.cli import upkeep  # noqa: PLC0415 -- imports SQLAlchemy

    if listing or not (verbs or every):
        upkeep.list_verbs(as_json=as_json)
        return
    order = upkeep.Order(
        verbs=upkeep.chosen(verbs, every=every, for_tenant=tenant is not None),
        older_than=older_than,
        tenant=tenant,
        batch=batch,
        max_batches=max_batches,
        dry_run=dry_run,
        repair=repair,
    )
    upkeep.maintain(url, schema, order, as_json=as_json)
