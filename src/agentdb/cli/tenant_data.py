"""The commands about all that a tenant has; what they do loads when they run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TextIO

import click

from agentdb.cli.options import batch_option, platform_option, schema_option, url_option


@click.group(short_help="move or erase tenants")
def tenant() -> None:
    """Write all data of a tenant to a file, store such a file, or erase a tenant."""


@tenant.command(short_help="write a tenant to a file")
@click.argument("slug", metavar="SLUG")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; one that is there is replaced when the new one is whole.",
)
@click.option("--unredacted", is_flag=True, help="Write secrets, too: what an import needs.")
@url_option
@platform_option
@schema_option
def export(
    slug: str,
    output: Path,
    unredacted: bool,  # noqa: FBT001 -- click passes options by name
    url: str,
    schema: str | None,
) -> None:
    """Write all that the tenant SLUG has to a file of JSON lines, as it is at one moment.

    Only its owner may read the file. Secrets are replaced, unless --unredacted is given: hashes of
    passwords, tokens and codes, and all that is encrypted.
    """
    from agentdb.cli import tenant_files as work  # noqa: PLC0415 -- imports SQLAlchemy

    asyncio.run(work.export(url, slug, output, schema=schema, redact=not unredacted))


@tenant.command("import", short_help="store such a file")
@click.argument("file", metavar="FILE", type=click.File(encoding="utf-8"))
@url_option
@platform_option
@schema_option
def import_(file: TextIO, url: str, schema: str | None) -> None:
    """Store the tenant in FILE, all of it or nothing; `-` reads it from stdin.

    The file was written with --unredacted, from a database at the same revision. The tenant and its
    members must not be there yet, the plans that it subscribes to must.
    """
    from agentdb.cli import tenant_files as work  # noqa: PLC0415 -- imports SQLAlchemy

    asyncio.run(work.store(url, file, schema=schema))


@tenant.command(short_help="delete a tenant")
@click.argument("name", metavar="SLUG")
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "--delete-orphan-users",
    is_flag=True,
    help="Delete also the users who are members of this tenant alone.",
)
@batch_option(5000)
@url_option
@platform_option
@schema_option
def erase(  # noqa: PLR0917 -- click passes options by name
    name: str,
    dry_run: bool,  # noqa: FBT001 -- the same
    yes: bool,  # noqa: FBT001 -- the same
    delete_orphan_users: bool,  # noqa: FBT001 -- the same
    batch: int,
    url: str,
    schema: str | None,
) -> None:
    """Delete the tenant SLUG, or with this id, and every row that is its own, for good.

    Tells first what would be deleted, and asks. Without a terminal it refuses, unless --yes is
    given. It may be killed and run again, by the id where the tenant itself is gone already.
    """
    from agentdb.cli import tenant_files as work  # noqa: PLC0415 -- imports SQLAlchemy

    plan = work.Erasure(
        name=name, batch=batch, dry_run=dry_run, ask=not yes, orphans=delete_orphan_users
    )
    asyncio.run(work.erase(url, plan, schema=schema))
