"""Taking over a database whose tables were made by other means: thin over `agentdb.adoption`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentdb.cli.failures import SchemaFailure
from agentdb.cli.options import json_option, limit_options, limits_of, schema_option, url_option
from agentdb.cli.output import DIFFERENCE, difference_rows, print_json, print_sections, tell

if TYPE_CHECKING:
    from agentdb.adoption import Survey


@click.command(short_help="take over a database")
@click.option("--dry-run", is_flag=True, help="Compare only, and change nothing.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL that closes what is harmless.")
@click.option(
    "--accept",
    multiple=True,
    metavar="KEY",
    help="Leave this difference, by its key or a pattern of keys; may be repeated.",
)
@click.option("--apply", is_flag=True, help="Run that SQL before the database is taken over.")
@limit_options
@url_option
@schema_option
@json_option
def adopt(  # noqa: PLR0917 -- click passes options by name
    dry_run: bool,  # noqa: FBT001 -- the same
    as_sql: bool,  # noqa: FBT001 -- the same
    accept: tuple[str, ...],
    apply: bool,  # noqa: FBT001 -- the same
    wait: float | None,
    lock_timeout: float | None,
    statement_timeout: float | None,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Take over a database that has these tables already, made by other means.

    Prints the rows that a rule of this release refuses, and how the tables differ from the models.
    The database is marked with the revision of this release only if nothing differs, or each
    difference is accepted; else it is left as it is, and the exit code is 3. Conversation keys
    without their tenant are rewritten.
    """
    from agentdb import adoption  # noqa: PLC0415 -- imports SQLAlchemy
    from agentdb.migrate.connections import looking  # noqa: PLC0415 -- the same

    with looking(url, schema=schema) as connection:
        survey = adoption.survey(connection, schema=schema)
    if as_sql:
        click.echo(adoption.script(survey), nl=False)
        return
    refusals = survey.refusals(accept=accept, apply=apply)
    adopts = not dry_run and not refusals
    if adopts:
        limits = limits_of(wait, lock_timeout, statement_timeout)
        adoption.adopt(url, schema=schema, accept=accept, apply=apply, limits=limits, progress=tell)
    if as_json:
        print_json({"adopted": adopts, "refusals": list(refusals), "survey": survey.as_dict()})
    else:
        _show(survey)
    for refusal in refusals:
        tell(refusal)
    if refusals:
        raise SchemaFailure("the database is not taken over, and is as it was")
    tell("the database is taken over" if adopts else "the database can be taken over")


def _show(survey: Survey) -> None:
    keys = survey.bare_keys
    of_keys = [
        ("rewritten", keys.count, None),
        ("too long", keys.too_long.count, ", ".join(keys.too_long.examples)),
        ("taken", keys.taken.count, ", ".join(keys.taken.examples)),
    ]
    print_sections(
        (
            "refused rows",
            ("rule", "table", "columns", "rows", "examples"),
            [
                (o.rule, o.table, ", ".join(o.columns), o.count, ", ".join(o.examples))
                for o in survey.offenders
            ],
        ),
        (
            "conversation keys",
            ("without their tenant", "conversations", "examples"),
            [row for row in of_keys if row[1]],
        ),
        ("difference", DIFFERENCE, difference_rows(survey.differences)),
    )
