"""Completion in shells, by the machinery of click."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from agentdb.cli.failures import Failure

VARIABLE = "_AGENTDB_COMPLETE"
"""Through which the script of a shell asks the command for completions."""


@click.command(short_help="complete in a shell")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes this command in SHELL.

    \b
    bash:  eval "$(agentdb completion bash)"            in ~/.bashrc
    zsh:   eval "$(agentdb completion zsh)"             in ~/.zshrc
    fish:  agentdb completion fish | source             in ~/.config/fish/config.fish
    """  # noqa: D301 -- \b is click's mark of a paragraph to leave as it is
    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"click does not complete in {shell}")
    click.echo(kind(ctx.find_root().command, {}, "agentdb", VARIABLE).source())


def complete_revisions(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Return the revisions that begin so."""
    from agentdb import migrate  # noqa: PLC0415 -- imports SQLAlchemy

    names = {step.revision: step.description for step in migrate.history()}
    special = {"head": "the newest", "base": "before all"}
    return [
        CompletionItem(name, help=text)
        for name, text in (names | special).items()
        if name.startswith(incomplete)
    ]


def complete_domains(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the domains whose names begin so."""
    from agentdb.cli.describe import described_tables  # noqa: PLC0415 -- maps all tables

    domains = {table.domain for table in described_tables()}
    return [name for name in sorted(domains) if name.startswith(incomplete)]


def complete_tables(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the tables whose names begin so."""
    from agentdb.models import Base  # noqa: PLC0415 -- maps all tables

    return [name for name in sorted(Base.metadata.tables) if name.startswith(incomplete)]
