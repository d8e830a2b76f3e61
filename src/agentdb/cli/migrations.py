"""The commands about the schema: thin over `agentdb.migrate`."""

from __future__ import annotations

from types import ModuleType

import click

from agentdb.cli.urls import url_option


def _migrate() -> ModuleType:
    from agentdb import migrate  # noqa: PLC0415 -- imports Alembic

    return migrate


@click.command()
@click.argument("revision", default="head")
@url_option
def upgrade(revision: str, url: str) -> None:
    """Apply the migrations up to REVISION, all or none.

    Does nothing where there is nothing to do, so it may run at each start of each replica.
    """
    migrate = _migrate()
    migrate.upgrade(url, revision)
    click.echo(f"the database is at {migrate.current(url)}")


@click.command()
@click.argument("revision")
@url_option
def downgrade(revision: str, url: str) -> None:
    """Take back the migrations above REVISION, with the data in them; `base` is before all."""
    migrate = _migrate()
    migrate.downgrade(url, revision)
    click.echo(f"the database is at {migrate.current(url) or 'no revision'}")


@click.command()
@url_option
def current(url: str) -> None:
    """Print the revision of the database."""
    click.echo(_migrate().current(url) or "no revision")


@click.command()
def history() -> None:
    """Print the migrations of this release, oldest first."""
    for step in _migrate().history():
        click.echo(f"{step.revision}  {step.description}")


@click.command()
def heads() -> None:
    """Print the newest migration of this release."""
    click.echo("\n".join(_migrate().heads()))


@click.command()
@url_option
def check(url: str) -> None:
    """Tell whether the tables of the database are those of this release."""
    differences = _migrate().check(url)
    for difference in differences:
        click.echo(difference)
    if differences:
        raise click.ClickException("the tables of the database differ from this release")
    click.echo("the tables of the database are those of this release")


@click.command()
@click.argument("revision")
@url_option
def stamp(revision: str, url: str) -> None:
    """Record REVISION as the one of the database, without running any migration."""
    _migrate().stamp(url, revision)
    click.echo(f"the database is marked as {revision}")


@click.command()
@click.argument("revision", default="head")
@click.option(
    "--dialect",
    type=click.Choice(["postgresql", "sqlite"]),
    default="postgresql",
    show_default=True,
    help="Database to write for.",
)
def sql(revision: str, dialect: str) -> None:
    """Print the SQL of an upgrade to REVISION, or of START:END; no database is needed."""
    click.echo(_migrate().sql(dialect, revision), nl=False)


COMMANDS = (upgrade, downgrade, current, history, heads, check, stamp, sql)
