"""The commands about row-level security: thin over `agentdb.rls`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from agentdb.cli.failures import SchemaFailure
from agentdb.cli.options import json_option, limit_options, limits_of, schema_option, url_option
from agentdb.cli.output import print_json, print_table, tell

if TYPE_CHECKING:
    from agentdb.rls import RlsStatus, TableState


@click.group(short_help="row-level security")
def rls() -> None:
    """Have PostgreSQL itself show each tenant its own rows alone."""


@rls.command(short_help="put all tables under their policies")
@limit_options
@url_option
@schema_option
@json_option
def enable(  # noqa: PLR0917 -- click passes options by name
    wait: float | None,
    lock_timeout: float | None,
    statement_timeout: float | None,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Put all tables under their policies, for their owner too; one transaction.

    Does nothing where all is as it should be. Later migrations keep the policies. The role of the
    database's URL has to own the tables.
    """
    from agentdb import rls as work  # noqa: PLC0415 -- imports SQLAlchemy

    limits = limits_of(wait, lock_timeout, statement_timeout)
    _report(work.enable(url, schema=schema, limits=limits, progress=tell), as_json=as_json)


@rls.command(short_help="free all tables of them")
@limit_options
@url_option
@schema_option
@json_option
def disable(  # noqa: PLR0917 -- click passes options by name
    wait: float | None,
    lock_timeout: float | None,
    statement_timeout: float | None,
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Free all tables of row-level security; one transaction."""
    from agentdb import rls as work  # noqa: PLC0415 -- imports SQLAlchemy

    limits = limits_of(wait, lock_timeout, statement_timeout)
    _report(work.disable(url, schema=schema, limits=limits, progress=tell), as_json=as_json)


def _report(run: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"run": run})
    else:
        tell(f"{len(run)} statements were run" if run else "nothing to do")


@rls.command(short_help="tell whether they hold")
@click.option("--require", is_flag=True, help="Fail unless they do, and bind the role.")
@url_option
@schema_option
@json_option
def status(
    require: bool,  # noqa: FBT001 -- click passes options by name
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Tell how far the tables are under their policies, and whether these bind the role.

    Printed are the tables whose policies are not those of this release, and views that read past
    them. With --require the exit code is 3 unless all is as a service of tenants needs it.
    """
    from agentdb import rls as work  # noqa: PLC0415 -- imports SQLAlchemy

    found = work.status(url, schema=schema)
    if as_json:
        print_json(_document(found))
    else:
        _show(found)
    if require and (refusal := found.refusal):
        raise SchemaFailure(refusal)


def _show(found: RlsStatus) -> None:
    binds = "binds this role" if found.bound else "does not bind this role"
    why = f" ({', '.join(found.passes)})" if found.passes and not found.bound else ""
    click.echo(f"row-level security is {found.state}, and {binds}{why}")
    rows = [(t.table, problem) for t in found.tables for problem in _problems(t)]
    leaks = [(leak, "reads with the rights of its owner") for leak in found.leaks]
    if found.state != "disabled" or leaks:
        print_table(("relation", "problem"), [*rows, *leaks])


def _problems(table: TableState) -> list[str]:
    named = {
        "without policy": table.missing,
        "changed policy": table.changed,
        "policy of others": table.foreign,
    }
    lacks = [] if table.enabled else ["not enabled"]
    lacks += [] if table.forced else ["does not bind the owner"]
    return lacks + [f"{what} {name}" for what, names in named.items() for name in names]


def _document(found: RlsStatus) -> dict[str, object]:
    return {
        "state": found.state,
        "recorded": found.recorded,
        "bound": found.bound,
        "passes": found.passes,
        "leaks": found.leaks,
        "tables": {t.table: _problems(t) for t in found.tables if not t.is_complete},
    }


@rls.command(short_help="print the policies as SQL")
@click.argument("action", type=click.Choice(["enable", "disable"]), default="enable")
@schema_option
def sql(action: Literal["enable", "disable"], schema: str | None) -> None:
    """Print what enables or disables the policies, as one transaction; no database is needed."""
    from agentdb import rls as work  # noqa: PLC0415 -- imports SQLAlchemy

    click.echo(work.script(action, schema=schema), nl=False)


@rls.command(short_help="print the roles and their grants")
@click.option("--owner", default="agentdb_owner", show_default=True, help="Owns the tables.")
@click.option("--app", default="agentdb_app", show_default=True, help="Works for tenants.")
@click.option(
    "--platform", default="agentdb_platform", show_default=True, help="Works for the system."
)
@schema_option
def roles(owner: str, app: str, platform: str, schema: str | None) -> None:
    """Print the SQL that makes three roles and grants each what it needs; no database is needed.

    A superuser runs it on the migrated database, again after an upgrade that made tables. It sets
    no passwords.
    """
    from agentdb import rls as work  # noqa: PLC0415 -- imports SQLAlchemy

    named = work.Roles(owner=owner, app=app, platform=platform)
    for statement in work.grants(named, schema=schema):
        click.echo(f"{statement};")
