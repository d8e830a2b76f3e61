"""The ``agentdb`` command.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

from typing import Any

import click
from typing_extensions import override

from agentdb import __version__
from agentdb.cli import migrations, streams
from agentdb.cli.urls import URL_HELP


class Commands(click.Group):
    """A group whose commands report the errors of agentdb as one sentence, exit code 1."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            raise _reported(error) from error


def _reported(error: Exception) -> Exception:
    from agentdb.errors import AgentDBError  # noqa: PLC0415 -- imports SQLAlchemy

    return click.ClickException(str(error)) if isinstance(error, AgentDBError) else error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentdb")
@click.option("--url", help=URL_HELP)
def main(url: str | None) -> None:
    """Set up an agentdb database, and store and replay event streams."""


for command in (*migrations.COMMANDS, *streams.COMMANDS):
    main.add_command(command)
