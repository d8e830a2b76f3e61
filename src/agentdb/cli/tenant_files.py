"""Moving and erasing tenants, as the command does it."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO
from uuid import UUID

import click

from agentdb.cli.databases import opened
from agentdb.cli.failures import Failure
from agentdb.cli.output import print_table, tell
from agentdb.cli.tenants import find_tenant
from agentdb.database import Database
from agentdb.errors import InvalidValueError
from agentdb.operations import erase_tenant, import_tenant, write_export


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is to be erased.

    Attributes:
        name: Slug or id of the tenant.
        batch: Rows of one transaction.
        dry_run: Only count.
        ask: Ask before anything is deleted.
        orphans: Delete its members who are members nowhere else.
    """

    name: str
    batch: int
    dry_run: bool
    ask: bool
    orphans: bool


async def export(url: str, slug: str, output: Path, *, schema: str | None, redact: bool) -> None:
    """Write a tenant to a file, and tell how many rows of each table."""
    async with opened(url, schema) as database:
        tenant = await _tenant(database, slug)
        with _replaced(output) as file:
            counts = await write_export(database, tenant, file, redact=redact)
    _show(counts)


async def store(url: str, lines: Iterable[str], *, schema: str | None) -> None:
    """Store an export, and tell how many rows of each table."""
    async with opened(url, schema) as database:
        try:
            imported = await import_tenant(database, lines)
        except UnicodeDecodeError:
            raise InvalidValueError("the file is no UTF-8 text") from None
    _show(imported.counts)


async def erase(url: str, plan: Erasure, *, schema: str | None) -> None:
    """Erase a tenant, or count what that would delete, and tell how many rows of each table."""
    async with opened(url, schema) as database:
        tenant = await _tenant(database, plan.name)
        if plan.dry_run or plan.ask:
            found = await erase_tenant(
                database, tenant, dry_run=True, delete_orphan_users=plan.orphans
            )
            _show(found)
        if plan.dry_run:
            return
        if plan.ask:
            _ask()
        counts = await erase_tenant(
            database, tenant, batch=plan.batch, delete_orphan_users=plan.orphans
        )
    if not plan.ask:
        _show(counts)
    tell(f"{sum(counts.values())} rows were deleted")


async def _tenant(database: Database, name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        async with database.read(reason=f"find tenant {name}") as uow:
            return await find_tenant(uow, name)


def _ask() -> None:
    """Go on only if somebody agrees.

    Raises:
        UsageError: There is nobody to ask.
        Failure: The answer is no.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; --yes deletes without asking")
    if not click.confirm("Delete these rows for good?", err=True):
        raise Failure("nothing was changed")


def _show(counts: Mapping[str, int]) -> None:
    print_table(("table", "rows"), sorted(counts.items()))


@contextmanager
def _replaced(path: Path) -> Generator[IO[str]]:
    """Yield a file that takes the place of *path* when all is written; its owner alone reads it.

    Raises:
        Failure: The folder cannot be written to.
    """
    try:
        # Made for its owner alone, whatever the umask.
        file = NamedTemporaryFile(  # noqa: SIM115 -- is renamed, or deleted below
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        )
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    try:
        with file:
            yield file
        Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
