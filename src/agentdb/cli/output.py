"""Results on stdout: a table for people, plain columns for scripts, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from agentdb.catalog import Difference


def tell(message: str) -> None:
    """Tell people what goes on; stdout is for results."""
    click.echo(message, err=True)


def print_json(document: object) -> None:
    """Print one JSON document, in ASCII, whatever the encoding of the terminal."""
    click.echo(json.dumps(document, indent=2))


Rows: TypeAlias = Iterable[Sequence[object]]


def print_table(headings: Sequence[str], rows: Rows) -> None:
    """Print rows: as a table on a terminal, else tab-separated, without headings.

    No value is cut short, in either form; None is empty.
    """
    kept = list(rows)
    if kept and sys.stdout.isatty():
        _print_rich(None, headings, kept)
    else:
        _print_plain(kept)


def print_sections(*sections: tuple[str, Sequence[str], Rows]) -> None:
    """Print tables of several kinds, each with its name, its headings and its rows.

    On a terminal the name is a title; else it is the first of the tab-separated values of each row.
    Empty tables are left out.
    """
    for name, headings, rows in sections:
        kept = list(rows)
        if kept and sys.stdout.isatty():
            _print_rich(name, headings, kept)
        else:
            _print_plain([(name, *row) for row in kept])


DIFFERENCE = ("key", "expected", "found", "closing it")
"""The headings of `difference_rows`."""


def difference_rows(differences: Iterable[Difference]) -> list[tuple[str | None, ...]]:
    """Return how a database differs from the models, as rows of a table."""
    return [(d.key, d.expected, d.found, _consequence(d)) for d in differences]


def _consequence(difference: Difference) -> str:
    if difference.informational:
        return "not needed"
    if difference.sql is None:
        return "by hand"
    return "harmless" if difference.harmless else "changes rows"


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _print_plain(rows: Rows) -> None:
    for row in rows:
        click.echo("\t".join(map(_cell, row)))


def _print_rich(title: str | None, headings: Sequence[str], rows: Rows) -> None:
    from rich.console import Console  # noqa: PLC0415 -- slow to import
    from rich.table import Table  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))  # as text: brackets are no markup
    Console().print(table)
