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
    """Return the URL of the command line, else of the environment, else the embedded default."""
    from agentdb.urls import url_from_environment  # noqa: PLC0415 -- imports SQLAlchemy

    return given_url(ctx, parameter, own) or url_from_environment()


url_option = click.option("--url", callback=chosen_url, help=URL_HELP)
"""Hands a command its database as ``url``; it may stand before or after the command's name."""
