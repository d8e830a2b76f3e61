"""The commands about event streams, and the demonstration; what they do loads when they run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from agentdb.cli.urls import given_url, url_option

tenant_option = click.option("--tenant", required=True, metavar="SLUG", help="Slug of the tenant.")
conversation_option = click.option(
    "--conversation", required=True, metavar="KEY", help="Key of the conversation."
)


@click.command()
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
@click.option(
    "--agent-entrypoint",
    default="ingest",
    show_default=True,
    help="Agent that a new conversation is opened by.",
)
@url_option
def ingest(  # noqa: PLR0917 -- click passes options by name
    files: tuple[Path, ...],
    tenant: str,
    conversation: str,
    create: bool,  # noqa: FBT001 -- the same
    agent_entrypoint: str,
    url: str,
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
    asyncio.run(work.ingest(url, files, destination))


@click.command()
@tenant_option
@conversation_option
@click.option("--after", metavar="CURSOR", help="Continue after the cursor of an earlier replay.")
@click.option("--limit", type=click.IntRange(min=1), help="Print at most so many frames.")
@click.option("--sse", is_flag=True, help="Print server-sent events instead of NDJSON.")
@url_option
def replay(  # noqa: PLR0917 -- click passes options by name
    tenant: str,
    conversation: str,
    after: str | None,
    limit: int | None,
    sse: bool,  # noqa: FBT001 -- the same
    url: str,
) -> None:
    """Print the visible frames of a conversation, in the order in which they were stored.

    The cursor that continues after the last of them goes to stderr.
    """
    from agentdb.cli import replay as work  # noqa: PLC0415 -- imports SQLAlchemy

    position = work.Position(tenant=tenant, conversation=conversation, after=after, limit=limit)
    asyncio.run(work.replay(url, position, sse=sse))


@click.command()
@click.option(
    "--url",
    callback=given_url,
    help="Database to use; it is upgraded, and keeps what is stored.  [default: a temporary one]",
)
def demo(url: str | None) -> None:
    """Store and replay a conversation of a new tenant, and show what was done.

    Uses a temporary SQLite database unless --url is given: AGENTDB_DATABASE_URL is left alone.
    """
    from agentdb.cli import demo as work  # noqa: PLC0415 -- imports SQLAlchemy

    work.demo(url)


COMMANDS = (ingest, replay, demo)
