"""The command that changes keys: thin over `agentdb.crypto`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from agentdb.cli.failures import Failure
from agentdb.cli.options import (
    batch_option,
    json_option,
    platform_option,
    schema_option,
    url_option,
)
from agentdb.cli.output import print_json, print_sections, tell

if TYPE_CHECKING:
    from agentdb.crypto import KeyRing, RotationReport


@click.command("rotate-keys", short_help="encrypt under the new key")
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Only the values of this table; may be repeated.",
)
@batch_option(1000)
@click.option("--dry-run", is_flag=True, help="Only count what would be encrypted again.")
@url_option
@platform_option
@schema_option
@json_option
def rotate_keys(  # noqa: PLR0917 -- click passes options by name
    tables: tuple[str, ...],
    batch: int,
    dry_run: bool,  # noqa: FBT001 -- the same
    url: str,
    schema: str | None,
    as_json: bool,  # noqa: FBT001 -- the same
) -> None:
    """Encrypt again, under the primary key, what retired keys have encrypted.

    AGENTDB_ENCRYPTION_KEYS holds the keys, `id:base64key,…`, the primary one first; there is no
    option for them. The command may be killed and run again, and may run several times at once.
    When it ends with exit code 0, the retired keys can be removed, unless digests need them. It is
    1 where no key opens a value; such values are named and left as they are. Values that the host
    encrypted by other means are counted as foreign.
    """
    from agentdb.crypto import ENCRYPTED, KeyRing  # noqa: PLC0415 -- imports SQLAlchemy

    known = sorted({column.table for column in ENCRYPTED})
    if set(tables) - set(known):
        raise click.BadParameter(f"choose from {', '.join(known)}", param_hint="--table")
    ring = KeyRing.from_env()
    report = asyncio.run(_rotate(url, schema, ring, tables=tables, batch=batch, dry_run=dry_run))
    if as_json:
        _print_document(report)
    else:
        _show(report)
    if report.counts["unopened"]:
        raise Failure(f"no key opens {report.counts['unopened']} of the values: keep all keys")
    if not dry_run:
        tell(f"the values are under the key {ring.key_ids[0]}")


async def _rotate(
    url: str,
    schema: str | None,
    ring: KeyRing,
    *,
    tables: tuple[str, ...],
    batch: int,
    dry_run: bool,
) -> RotationReport:
    from agentdb.cli.databases import opened  # noqa: PLC0415 -- the same
    from agentdb.crypto import rotate_keys as rotate  # noqa: PLC0415 -- imports SQLAlchemy

    async with opened(url, schema) as database:
        return await rotate(database, ring, tables=tables, batch=batch, dry_run=dry_run)


def _print_document(report: RotationReport) -> None:
    unopened = [{**place._asdict(), "id": str(place.id)} for place in report.unopened]
    print_json({"counts": dict(report.counts), "unopened": unopened})


def _show(report: RotationReport) -> None:
    print_sections(
        ("values", ("outcome", "count"), list(report.counts.items())),
        ("unopened", ("table", "column", "id", "reason"), report.unopened),
    )
