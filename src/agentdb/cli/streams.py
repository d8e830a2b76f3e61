"""The commands about event streams, and the demonstration; what they do loads when they run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from agentdb.cli.options import (
    explicit,
    inherited,
    platform_option,
    schema_option,
    setting,
    url_option,
)

tenant_option = setting(
    "--tenant", "AGENTDB_TENANT", required=True, metavar="SLUG", help="Slug of the tenant."
)
conversation_option = setting(
    "--conversation",
    "AGENTDB_CONVERSATION",
    required=True,
    metavar="KEY",
    help="Key of the conversation.",
)


@click.command(short_help="store recorded streams")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="STREAM.ndjson…",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@tenant_option
@conversation_option
@click.option("--create", is_flag=True, help="Create the tenant if there is none.")
@setting(
    "--agent-entrypoint",
    "AGENTDB_AGENT_ENTRYPOINT",
    metavar="NAME",
    default="ingest",
    show_default=True,
    help="Agent that a new conversation is opened by.",
)
@url_option
@platform_option
@schema_option
def ingest(  # noqa: PLR0917 -- click passes options by name
    files: tuple[Path, ...],
    tenant: str,
    conversation: str,
    create: bool,  # noqa: FBT001 -- the same
    agent_entrypoint: str,
    url: str,
    schema: str | None,
) -> None:
    """Store recorded public_sse_v1 streams, one JSON frame a line.

    A file is stored whole or not at all; frames that are stored already are skipped, so a file may
    be ingested again. The conversation is created if there is none.
    """
    from agentdb.cli import ingest as work  # noqa: PLC0415 -- imports SQLAlchemy

    destination = work.Destination(
        tenant=tenant,
        create=create,
        conversation=conversation,
        agent_entrypoint=agent_entrypoint,
    )
    asyncio.run(work.ingest(url, files, destination, schema=schema))


@click.command(short_help="print stored frames")
@tenant_option
@conversation_option
@click.option("--after", metavar="CURSOR", help="Continue after the cursor of an earlier replay.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Print at most so many frames."
)
@click.option("--sse", is_flag=True, help="Print server-sent events instead of NDJSON.")
@url_option
@platform_option
@schema_option
def replay(  # noqa: PLR0917 -- click passes options by name
    tenant: str,
    conversation: str,
    after: str | None,
    limit: int | None,
    sse: bool,  # noqa: FBT001 -- the same
    url: str,
    schema: str | None,
) -> None:
    """Print the visible frames of a conversation, in the order in which they were stored.

    The cursor that continues after the last of them goes to stderr.
    """
    from agentdb.cli import replay as work  # noqa: PLC0415 -- imports SQLAlchemy

    position = work.Position(tenant=tenant, conversation=conversation, after=after, limit=limit)
    asyncio.run(work.replay(url, position, schema=schema, sse=sse))


@click.command(short_help="show the main job")
@inherited(
    "--url",
    callback=explicit,
    envvar=None,
    show_default="a temporary one",
    help="Database to use; it is upgraded, and keeps what is stored.",
)
@inherited("--schema", callback=explicit, envvar=None)
def demo(url: str | None, schema: str | None) -> None:
    """Store and replay a conversation of a new tenant, and show what was done.

    Uses a temporary SQLite database unless --url is given: AGENTDB_DATABASE_URL is left alone.
    """
    from agentdb.cli import demo as work  # noqa: PLC0415 -- imports SQLAlchemy

    work.demo(url, schema=schema)


COMMANDS = (demo, ingest, replay)
