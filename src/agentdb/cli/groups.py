"""The group of the commands: its help fits one screen, and failures become exit codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import click
from click.core import ParameterSource
from typing_extensions import override

from agentdb.cli.failures import told, told_parsing

SCREEN = 78
"""Columns that two commands side by side need."""

_FOR_ALL = {"url", "schema"}
"""Options that may stand before any command: an alias of a shell names its database once."""


class Commands(click.Group):
    """Commands in sections, shown two side by side where the terminal is wide enough."""

    sections: Sequence[tuple[str, Sequence[click.Command]]] = ()

    @override
    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with told_parsing():
            return super().make_context(info_name, args, parent, **extra)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        with told(ctx):
            return super().invoke(ctx)

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            _refuse_unknown(ctx, command)
        return name, command, rest

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        with formatter.section("Options, also after the command"):
            formatter.write_dl(self._options(ctx))

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if formatter.width < SCREEN:
            super().format_commands(ctx, formatter)
            return
        for left, right in zip(self.sections[::2], self.sections[1::2], strict=True):
            for one, other in zip_longest(_lines(*left), _lines(*right), fillvalue=""):
                formatter.write(f"{one:<39}{other}".rstrip() + "\n")

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Without a line before it: the help would not fit one screen.
        formatter.write_text(self.epilog or "")

    def _options(self, ctx: click.Context) -> list[tuple[str, str]]:
        # Who reads this has found --help; its line is what keeps the rest on one screen.
        found = self.get_help_option(ctx)
        shown = (parameter for parameter in self.get_params(ctx) if parameter is not found)
        records = (parameter.get_help_record(ctx) for parameter in shown)
        return [record for record in records if record is not None]


def _refuse_unknown(ctx: click.Context, command: click.Command) -> None:
    """Refuse an option that was given before a command which would ignore it.

    Raises:
        UsageError: There is one.
    """
    known = {parameter.name for leaf in leaves(command) for parameter in leaf.params} | _FOR_ALL
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in known:
            raise click.UsageError(f"{command.name} has no option {parameter.opts[0]}", ctx)


def leaves(command: click.Command) -> Iterator[click.Command]:
    """Yield a command, or those of a group that stands for several."""
    if not isinstance(command, click.Group):
        yield command
        return
    for inner in command.commands.values():
        yield from leaves(inner)


def _lines(title: str, commands: Sequence[click.Command]) -> list[str]:
    return [f"{title}:", *(f"  {c.name:<11} {c.get_short_help_str(80)}" for c in commands)]
