"""The commands that describe the tables of this release; they need no database."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from agentdb.cli.completion import complete_domains, complete_tables
from agentdb.cli.options import json_option
from agentdb.cli.output import print_json, print_sections, print_table

if TYPE_CHECKING:
    from agentdb.cli.describe import DescribedColumn, DescribedTable


@click.command(short_help="list or show tables")
@click.argument("name", required=False, shell_complete=complete_tables)
@json_option
def tables(name: str | None, as_json: bool) -> None:  # noqa: FBT001 -- of click
    """List the tables of this release, or show one: its columns, types, keys and indexes.

    Types are those of PostgreSQL and of SQLite. No database is needed.
    """
    from agentdb.cli.describe import described_tables  # noqa: PLC0415 -- maps all tables

    found = described_tables()
    if name is None:
        _list(found, as_json=as_json)
        return
    one = next((table for table in found if table.name == name), None)
    if one is None:
        raise click.BadParameter(f"there is no table {name!r}", param_hint="NAME")
    _show(one, as_json=as_json)


def _list(found: list[DescribedTable], *, as_json: bool) -> None:
    keys = ("name", "domain", "model", "repository", "tenancy", "columns")
    rows = [(t.name, t.domain, t.model, t.repository, t.tenancy, len(t.columns)) for t in found]
    if as_json:
        print_json({"tables": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    print_table(
        ("table", "domain", "model", "repository", "tenancy", "columns"),
        [(table, domain, model, f"uow.{of}", *rest) for table, domain, model, of, *rest in rows],
    )


def _show(table: DescribedTable, *, as_json: bool) -> None:
    if as_json:
        print_json({"table": asdict(table)})
        return
    print_sections(
        (
            "table",
            ("name", "model", "repository", "tenancy", "a row is"),
            [(table.name, table.model, f"uow.{table.repository}", table.tenancy, table.summary)],
        ),
        (
            "column",
            ("name", "PostgreSQL", "SQLite", "NULL", "key", "values"),
            [_of_column(column) for column in table.columns],
        ),
        (
            "index",
            ("name", "columns", "unique", "where"),
            [
                (i.name, ", ".join(i.columns), "unique" if i.unique else None, i.where)
                for i in table.indexes
            ],
        ),
        ("check", ("name", "condition"), [(check.name, check.sql) for check in table.checks]),
    )


def _of_column(column: DescribedColumn) -> tuple[str | None, ...]:
    return (
        column.name,
        column.type.postgresql,
        column.type.sqlite,
        "NULL" if column.nullable else "NOT NULL",
        _key(column),
        ", ".join(column.labels or ()),
    )


def _key(column: DescribedColumn) -> str:
    keys = ["primary"] if column.primary_key else []
    if (to := column.references) is not None:
        keys.append(f"-> {to.table}.{to.column} ON DELETE {to.on_delete or 'NO ACTION'}")
    return ", ".join(keys)


@click.command(short_help="draw the tables")
@click.option("--mermaid", is_flag=True, help="Print an entity-relationship diagram; the default.")
@json_option
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_domains,
    help="Only the tables of this domain; may be repeated.",
)
def schema(mermaid: bool, as_json: bool, domains: tuple[str, ...]) -> None:  # noqa: FBT001 -- of click
    """Print the tables of this release as a diagram in Mermaid's syntax, or as JSON.

    They are read from the models: no database is needed. A foreign key to a table of another domain
    is drawn with that table's name alone.
    """
    from agentdb.cli import mermaid as diagram  # noqa: PLC0415 -- maps all tables
    from agentdb.cli.describe import described_tables  # noqa: PLC0415 -- the same

    found = described_tables()
    if unknown := set(domains) - {table.domain for table in found}:
        message = f"there is no domain {', '.join(sorted(unknown))}"
        raise click.BadParameter(message, param_hint="--domain")
    chosen = [table for table in found if not domains or table.domain in domains]
    if as_json and not mermaid:
        print_json({"tables": [asdict(table) for table in chosen]})
    else:
        click.echo(diagram.render(chosen), nl=False)


COMMANDS = (tables, schema)
