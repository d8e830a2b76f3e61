"""Going back, which asks before data is lost."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from agentdb.cli.completion import complete_revisions
from agentdb.cli.failures import Failure
from agentdb.cli.options import limit_options, limits_of, schema_option, url_option
from agentdb.cli.output import tell

if TYPE_CHECKING:
    from agentdb.migrate import Loss


@click.command(short_help="take migrations back")
@click.argument("revision", shell_complete=complete_revisions)
@click.option("--yes", is_flag=True, help="Delete what is lost without asking.")
@limit_options
@url_option
@schema_option
def downgrade(  # noqa: PLR0917 -- click passes options by name
    revision: str,
    yes: bool,  # noqa: FBT001 -- the same
    wait: float | None,
    lock_timeout: float | None,
    statement_timeout: float | None,
    url: str,
    schema: str | None,
) -> None:
    """Take back the migrations above REVISION, with the data in them; `base` is before all.

    Tells first what would be deleted, and asks. Without a terminal it refuses, unless --yes is
    given. Where there is nothing to lose it does not ask.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    limits = limits_of(wait, lock_timeout, statement_timeout)
    lost = [] if yes else migrate.losses(url, revision, schema=schema)
    if lost:
        _ask(lost)
    migrate.downgrade(url, revision, schema=schema, limits=limits, progress=tell)
    click.echo(f"the database is at {migrate.current(url, schema=schema) or 'no revision'}")


def _ask(lost: Sequence[Loss]) -> None:
    """Tell what would be deleted, and go on only if somebody agrees.

    Raises:
        UsageError: There is nobody to ask.
        Failure: The answer is no.
    """
    from agentdb.migrate import COUNTED  # noqa: PLC0415 -- imports SQLAlchemy

    tell("this would delete:")
    for loss in lost:
        name = loss.table if loss.column is None else f"{loss.table}.{loss.column}"
        more = " or more" if loss.rows >= COUNTED else ""
        tell(f"  {name}: {loss.rows}{more} rows")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; --yes deletes without asking")
    if not click.confirm("Go on?", err=True):
        raise Failure("nothing was changed")
