"""Writes the generated half of the page of the command: ``python -m tests.cli.command_page``."""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from agentdb.cli import SECTIONS, main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command.md"
KEYS = "AGENTDB_ENCRYPTION_KEYS"
"""The variable without an option: what stands on a command line can be seen by others."""

MARK = "<!-- From here on written by python -m tests.cli.command_page -->\n"


def render() -> str:
    """Return what follows the mark: the variables, and each command with its options."""
    return "\n".join([*_variables(), *_commands(), ""])


def options_of(command: click.Command) -> list[click.Option]:
    """Return the options of a command."""
    return [option for option in command.params if isinstance(option, click.Option)]


def named(
    commands: Iterable[click.Command], before: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """Yield commands with what is typed for them; of a group, those that are in it."""
    for command in commands:
        name = f"{before}{command.name}"
        if isinstance(command, click.Group):
            yield from named(command.commands.values(), f"{name} ")
        else:
            yield name, command


ALL = dict(named(main.commands.values()))
"""All commands, by what is typed for them."""


def _variables() -> Iterator[str]:
    yield "## Environment variables\n"
    yield "| variable | option | of |\n| --- | --- | --- |"
    users: dict[tuple[str, str], list[str]] = {}
    for _, commands in SECTIONS:
        for name, command in named(commands):
            for option in options_of(command):
                if isinstance(option.envvar, str):
                    key = (option.envvar, option.opts[0])
                    users.setdefault(key, []).append(f"`{name}`")
    users[KEYS, ""] = ["`rotate-keys`"]
    for (variable, flag), names in sorted(users.items()):
        shown = f"`{flag}`" if flag else "none"
        yield f"| `{variable}` | {shown} | {', '.join(names)} |"


def _commands() -> Iterator[str]:
    for title, commands in SECTIONS:
        yield f"\n## {title}"
        for name, command in named(commands):
            yield from _command(name, command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    # With the group's settings: a command keeps the first names of --help that it is asked for.
    group = click.Context(main, info_name="agentdb", **main.context_settings)
    context = click.Context(command, group, name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n### {name}\n\n```text\nagentdb {name} {usage}\n```\n"
    yield _prose(command.help or "")
    options = options_of(command)
    if options:
        yield "\n| option | default | |\n| --- | --- | --- |"
    for option in options:
        value = option.make_metavar(context) if not option.is_flag else ""
        flag = f"{option.opts[0]} {value}".strip().replace("|", "\\|")
        yield f"| `{flag}` | {_default(option)} | {option.help} |"


def _prose(text: str) -> str:
    """Return a docstring as Markdown; what it asks click to leave as it is becomes a block."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```text\n{part.removeprefix(chr(8)).strip()}\n```" if part.startswith("\b") else part
        for part in parts
    )


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    shown = option.show_default and not option.is_flag
    return f"`{option.default}`" if shown else ""


def written_part(page: str) -> str:
    """Return the part of the page that people write."""
    return page.partition(MARK)[0]


def commands_of(page: str) -> list[str]:
    """Return the commands that have a section of their own."""
    return re.findall(r"^### (\S.*)$", page, re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(f"{written_part(PAGE.read_text('utf-8'))}{MARK}\n{render()}", "utf-8")
