"""The file of an export: JSON lines, a header before the rows and their number behind them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import select

from agentdb.database import Database
from agentdb.errors import InvalidValueError, SchemaVersionError
from agentdb.operations.tenant_data.exporting import ExportedRow, require_tenant, rows_of
from agentdb.unit_of_work import UnitOfWork
from agentdb.version import version_table

FORMAT: Final = "agentdb-tenant"
VERSION: Final = 1

_NOTHING: Final[dict[str, Any]] = {}


class Writer(Protocol):
    """Something that text is written to."""

    def write(self, text: str, /) -> object:
        """Write *text*."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line of an export says.

    Attributes:
        revision: The revision of the schema that the rows are of.
        tenant: Whose rows they are.
        redacted: Whether secrets are left out, so that it cannot be imported.
    """

    revision: str
    tenant: UUID
    redacted: bool


async def write_export(
    db: Database, tenant_id: UUID, file: Writer, *, redact: bool = True
) -> dict[str, int]:
    """Write what `export_tenant` yields to a file that `import_tenant` reads.

    The same rows make the same file, to the byte. Without *redact* it holds all that is needed to
    log in as a member: keep it as you keep the database.

    Args:
        db: The database.
        tenant_id: The tenant.
        file: Takes text.
        redact: As of `export_tenant`.

    Returns:
        The number of rows by table.

    Raises:
        NotFoundError: There is no such tenant; nothing is written.
    """
    counts: Counter[str] = Counter()
    async with db.read(reason=f"export of tenant {tenant_id}") as uow:
        await require_tenant(uow, tenant_id)
        _write(file, await _header(uow, tenant_id, redact=redact))
        async for table, row in rows_of(uow, tenant_id, redact=redact):
            _write(file, {"table": table, "row": row})
            counts[table] += 1
    _write(file, {"rows": counts})
    return dict(counts)


async def _header(uow: UnitOfWork, tenant: UUID, *, redact: bool) -> dict[str, Any]:
    revision = await _revision(uow)
    known = {"format": FORMAT, "version": VERSION, "revision": revision}
    return {**known, "tenant": str(tenant), "redacted": redact}


def _write(file: Writer, document: Mapping[str, Any]) -> None:
    file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


class ExportFile:
    """An export that is read line by line.

    Attributes:
        header: What its first line says.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        """Read the header.

        Raises:
            InvalidValueError: It is no export, or one of another version of the format.
        """
        self._lines = _parsed(lines)
        self.header = _header_of(next(self._lines, _NOTHING))

    def rows(self) -> Iterator[ExportedRow]:
        """Yield the rows.

        Raises:
            InvalidValueError: A line is damaged, or lines are missing, for one at the end.
        """
        counts: Counter[str] = Counter()
        for line in self._lines:
            if "rows" in line:
                self._end(line["rows"], counts)
                return
            row = _row_of(line)
            counts[row.table] += 1
            yield row
        raise InvalidValueError("the export was cut off: its last line is missing")

    def _end(self, told: object, counts: Counter[str]) -> None:
        if told != counts:
            raise InvalidValueError("the export is damaged: it has not the rows that it tells of")
        if list(islice(self._lines, 1)):
            raise InvalidValueError("the export is damaged: it goes on after its last line")


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if type(document) is not dict:
            raise InvalidValueError(f"line {number} of the export is no JSON object")
        yield document


def _row_of(line: Mapping[str, Any]) -> ExportedRow:
    table, row = line.get("table"), line.get("row")
    if type(table) is not str or type(row) is not dict or len(line) != len(ExportedRow._fields):
        raise InvalidValueError("the export is damaged: a line is no row")
    return ExportedRow(table, row)


def _header_of(line: Mapping[str, Any]) -> Header:
    if line.get("format") != FORMAT:
        raise InvalidValueError("this is no export of a tenant")
    if line.get("version") != VERSION:
        raise InvalidValueError("the export is of another version of the format")
    revision, tenant, redacted = (line.get(key) for key in ("revision", "tenant", "redacted"))
    if type(revision) is not str or type(tenant) is not str or type(redacted) is not bool:
        raise InvalidValueError("the header of the export is damaged")
    try:
        return Header(revision, UUID(tenant), redacted)
    except ValueError:
        raise InvalidValueError("the header of the export is damaged") from None


async def require_revision(uow: UnitOfWork, header: Header) -> None:
    """Refuse an export of another revision of the schema.

    Raises:
        SchemaVersionError: It is one.
    """
    if await _revision(uow) != header.revision:
        raise SchemaVersionError(
            f"the export is of revision {header.revision}, the database of another one"
        )


async def _revision(uow: UnitOfWork) -> str:
    revision: str = (await uow.execute(select(version_table.c.version_num))).scalar_one()
    return revision
