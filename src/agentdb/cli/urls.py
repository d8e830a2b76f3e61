"""Which database a command is about."""

from __future__ import annotations

import click

URL_HELP = (
    "Database, postgresql://… or sqlite:///….  [default: AGENTDB_DATABASE_URL, "
    "else agentdb.sqlite3 in the working directory]"
)


def given_url(ctx: click.Context, _: click.Parameter, own: str | None) -> str | None:
    """Return the URL of the command line: the command's own, else the one before the command."""
    given: str | None = own or ctx.find_root().params.get("url")
    return given


def chosen_url(ctx: click.Context, parameter: click.Parameter, own: str | None) -> str:
    """Return the URL of the command line, else of the environment, else the embedded default.

    Raises:
        ConfigurationError: It is no URL of a database that agentdb speaks.
        UsageError: It names a database in memory, which would be gone when the command ends.
    """
    from agentdb import urls  # noqa: PLC0415 -- imports SQLAlchemy

    url = given_url(ctx, parameter, own) or urls.url_from_environment()
    if urls.is_memory(urls.async_url(url)):
        raise click.UsageError("a database in memory would be gone when the command ends", ctx)
    return url


url_option = click.option("--url", callback=chosen_url, help=URL_HELP)
"""Hands a command its database as ``url``; it may stand before or after the command's name."""
