"""The commands that look at the schema and change nothing."""

from __future__ import annotations

from dataclasses import asdict

import click

from agentdb.cli.failures import SchemaFailure
from agentdb.cli.options import json_option, schema_option, seconds, setting, url_option
from agentdb.cli.output import DIFFERENCE, difference_rows, print_json, print_table, tell


@click.command(short_help="print the revision")
@url_option
@schema_option
@json_option
def current(url: str, schema: str | None, as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Print the revision of the database."""
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    revision = migrate.current(url, schema=schema)
    if as_json:
        print_json({"revision": revision})
    else:
        click.echo(revision or "no revision")


@click.command(short_help="list the migrations")
@json_option
def history(as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Print the migrations of this release, oldest first; no database is needed."""
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    steps = migrate.history()
    if as_json:
        print_json({"revisions": [asdict(step) for step in steps]})
        return
    print_table(
        ("revision", "release", "phase", "description"),
        [(step.revision, step.release, step.phase, step.description) for step in steps],
    )


@click.command(short_help="print the newest migration")
@json_option
def heads(as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Print the newest migration of this release; no database is needed."""
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    newest = migrate.heads()
    if as_json:
        print_json({"heads": newest})
    else:
        click.echo("\n".join(newest))


@click.command(short_help="compare with the release")
@url_option
@schema_option
@json_option
def check(url: str, schema: str | None, as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Tell whether the database is at this release's revision and its tables are as the models.

    Ends with exit code 3 where it is not. Differences that need no action are printed, and are no
    failure.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    verdict = migrate.verdict(url, schema=schema)
    is_current = verdict.state is migrate.State.CURRENT
    found = migrate.check(url, schema=schema) if is_current else []
    if as_json:
        differences = [difference.as_dict() for difference in found]
        print_json({"verdict": asdict(verdict), "differences": differences})
    else:
        print_table(DIFFERENCE, difference_rows(found))
    if not is_current:
        raise SchemaFailure(verdict.detail)
    if any(not difference.informational for difference in found):
        raise SchemaFailure("the tables of the database differ from this release")
    if not as_json:
        tell("the tables of the database are those of this release")


@click.command(short_help="wait for the schema")
@setting(
    "--timeout",
    "AGENTDB_WAIT_TIMEOUT",
    type=float,
    callback=seconds,
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="How long to wait.",
)
@url_option
@schema_option
@json_option
def wait(timeout: float, url: str, schema: str | None, as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Wait until this release can work with the database; for a replica that does not migrate.

    A database that is still down is waited for, too.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    verdict = migrate.wait(url, schema=schema, timeout=timeout, progress=tell)
    if as_json:
        print_json({"verdict": asdict(verdict)})
    else:
        click.echo(verdict.detail)


COMMANDS = (current, history, heads, check, wait)
