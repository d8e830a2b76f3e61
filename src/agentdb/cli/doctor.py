"""What is wrong with a database, as a table for a bug report: thin over `agentdb.doctor`."""

from __future__ import annotations

import click

from agentdb.cli.failures import Failure, UnreachableFailure
from agentdb.cli.options import json_option, schema_option, url_option
from agentdb.cli.output import print_json, print_table


@click.command(short_help="examine a database")
@url_option
@schema_option
@json_option
def doctor(url: str, schema: str | None, as_json: bool) -> None:  # noqa: FBT001 -- of click
    """Examine a database and this installation, and print what a report of a bug needs.

    No password is in it. Works for a database that cannot be reached too; the exit code is then 4,
    and 1 where there is another problem.
    """
    from agentdb.doctor import Status, examine  # noqa: PLC0415 -- imports SQLAlchemy

    report = examine(url, schema=schema)
    if as_json:
        print_json(report.as_dict())
    else:
        print_table(
            ("examined", "status", "found", "advice"),
            [(f.name, f.status, f.value, f.advice) for f in report.findings],
        )
    if not report.reachable:
        raise UnreachableFailure("the database cannot be reached")
    problems = [finding.name for finding in report.findings if finding.status is Status.PROBLEM]
    if problems:
        raise Failure(f"there are problems: {', '.join(problems)}")
