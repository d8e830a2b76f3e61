"""The commands that change the schema: thin over `agentdb.migrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from agentdb.cli.completion import complete_revisions
from agentdb.cli.options import (
    inherited,
    json_option,
    limit_options,
    limits_of,
    schema_option,
    setting,
    url_option,
)
from agentdb.cli.output import print_json, print_table, tell

if TYPE_CHECKING:
    from agentdb.migrate import Revision


@click.command(short_help="apply migrations")
@click.argument("revision", default="head", shell_complete=complete_revisions)
@click.option("--dry-run", is_flag=True, help="Tell what would be applied, and change nothing.")
@setting(
    "--phase",
    "AGENTDB_UPGRADE_PHASE",
    type=click.Choice(["expand", "contract"]),
    help="expand stops before what the release before this one could not work with.",
)
@limit_options
@url_option
@schema_option
@json_option
def upgrade(  # noqa: PLR0917 -- click passes options by name
    revision: str,
    dry_run: bool,  # noqa: FBT001 -- the same
    phase: Literal["expand", "contract"] | None,
    wait: float | None,
    lock_timeout: float | None,
    statement_timeout: float | None,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Apply the migrations up to REVISION, which may be a version of the package too.

    Does nothing where there is nothing to do, so it may run at each start of each replica: of
    those that start at once one applies the migrations, and the others wait for it.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    if dry_run:
        steps = migrate.pending(url, revision, schema=schema, phase=phase)
        _show_pending(steps, migrate.current(url, schema=schema), as_json=as_json)
        return
    limits = limits_of(wait, lock_timeout, statement_timeout)
    applied = migrate.upgrade(
        url, revision, schema=schema, limits=limits, phase=phase, progress=tell
    )
    at = applied[-1].revision if applied else migrate.current(url, schema=schema)
    if as_json:
        print_json({"revision": at, "applied": [asdict(step) for step in applied]})
    else:
        click.echo(f"the database is at {at}")


def _show_pending(steps: Sequence[Revision], at: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"revision": at, "pending": [asdict(step) for step in steps]})
    elif steps:
        print_table(
            ("revision", "release", "phase", "description"),
            [(step.revision, step.release, step.phase, step.description) for step in steps],
        )
    else:
        tell(f"nothing to apply: the database is at {at}")


@click.command(short_help="record a revision")
@click.argument("revision", shell_complete=complete_revisions)
@url_option
@schema_option
def stamp(revision: str, url: str, schema: str | None) -> None:
    """Record REVISION as the one of the database, without running any migration.

    A mistake here is not noticed before a statement fails: `agentdb adopt` compares first.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    migrate.stamp(url, revision, schema=schema)
    click.echo(f"the database is marked as {revision}")


@click.command(short_help="print migrations as SQL")
@click.option(
    "--from",
    "start",
    default="base",
    show_default=True,
    metavar="REVISION",
    shell_complete=complete_revisions,
    help="Revision that the database is at, or version of the package.",
)
@click.option(
    "--to",
    "end",
    default="head",
    show_default=True,
    metavar="REVISION",
    shell_complete=complete_revisions,
    help="Revision or version to go to; an older one is a downgrade.",
)
@setting(
    "--dialect",
    "AGENTDB_SQL_DIALECT",
    type=click.Choice(["postgresql", "sqlite"]),
    default="postgresql",
    show_default=True,
    help="Database to write for.",
)
@inherited("--lock-timeout")
@inherited("--statement-timeout")
@schema_option
def sql(  # noqa: PLR0917 -- click passes options by name
    start: str,
    end: str,
    dialect: str,
    lock_timeout: float | None,
    statement_timeout: float | None,
    schema: str | None,
) -> None:
    """Print the SQL of a migration, for somebody who reads or runs it; no database is needed.

    The schema and the extension citext have to be there before it runs.
    """
    from agentdb import migrate  # noqa: PLC0415 -- imports Alembic

    limits = limits_of(None, lock_timeout, statement_timeout)
    script = migrate.sql(dialect, end, start=start, schema=schema, limits=limits)
    click.echo(script, nl=False)
