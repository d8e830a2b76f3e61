"""Whole frames, wherever they are stored, and what citations among them tell."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, exists, func, literal_column, select

from agentdb.conversations.statements import CONVERSATION, TENANT, Query, events, segments
from agentdb.errors import CorruptObjectError, InvalidValueError, NotFoundError
from agentdb.ledger.rows import LedgerFrame
from agentdb.ledger.statements import raw_payload, visible_frame
from agentdb.ledger.values import LedgerEventKind
from agentdb.objects import ObjectStore
from agentdb.storage.models import StorageObject
from agentdb.tenancy.predicates import table_of
from agentdb.types import JsonObject, RowId, String
from agentdb.unit import Unit

_OBJECTS = table_of(StorageObject)
_LOCATION = (_OBJECTS.c.object_key, _OBJECTS.c.checksum_sha256)


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object is, and what it has to be.

    Attributes:
        key: Its key in the store.
        sha256: The digest of its bytes; None where none was recorded.
    """

    key: str
    sha256: str | None

    async def read(self, store: ObjectStore) -> str:
        """Return the JSON text of the frame in the object.

        Raises:
            NotFoundError: The store has no such object.
            CorruptObjectError: It is not the one that was recorded.
        """
        content = await store.get(self.key)
        if self.sha256 not in {None, hashlib.sha256(content).hexdigest()}:
            raise CorruptObjectError("an object of the ledger is not the one that was recorded")
        try:
            return zlib.decompress(content, 16 + zlib.MAX_WBITS).decode()
        except (zlib.error, UnicodeDecodeError) as error:
            raise CorruptObjectError("an object of the ledger holds no frame") from error


async def read_payload(
    unit: Unit, key: int, tenant: UUID | None, store: ObjectStore | None
) -> JsonObject:
    """Return the whole frame of a row; see the verb ``payload``."""
    parameters = {"key": key} if tenant is None else {"key": key, "tenant": tenant}
    statement = _payload(confined=tenant is not None, postgresql=unit.is_postgresql)
    row = (await unit.execute(statement, parameters)).one_or_none()
    if row is None:
        raise NotFoundError("no such row of conversation_ledger_events")
    payload: JsonObject = json.loads(row.raw or await _from_store(row, store))
    return payload


async def _from_store(row: Row[Any], store: ObjectStore | None) -> str:
    if store is None:
        raise InvalidValueError("the frame is in an object store: pass it")
    return await Location(row.object_key, row.checksum_sha256).read(store)


@cache
def _payload(*, confined: bool, postgresql: bool) -> Query:
    query = (
        select(raw_payload(postgresql=postgresql), *_LOCATION)
        .outerjoin(_OBJECTS, _OBJECTS.c.id == events.c.payload_object_id)
        .where(events.c.id == bindparam("key", type_=RowId()))
    )
    return query.where(events.c.tenant_id == TENANT) if confined else query


async def locate_objects(unit: Unit, frames: Iterable[LedgerFrame]) -> dict[UUID, Location]:
    """Return where the objects of those *frames* are that their rows do not hold."""
    wanted = {f.payload_object_id for f in frames if f.raw is None and f.payload_object_id}
    if not wanted:
        return {}
    query = select(_OBJECTS.c.id, *_LOCATION).where(_OBJECTS.c.id.in_(wanted))
    found = await unit.execute(query)
    return {row.id: Location(row.object_key, row.checksum_sha256) for row in found}


async def fill(
    frame: LedgerFrame, locations: Mapping[UUID, Location], store: ObjectStore
) -> LedgerFrame:
    """Return *frame* with its JSON text, read from *store* if its row does not hold it."""
    location = frame.payload_object_id and locations.get(frame.payload_object_id)
    if frame.raw is not None or not location:
        return frame
    return frame._replace(raw=await location.read(store))


async def cites(unit: Unit, conversation: UUID, container_id: str, file_id: str) -> bool:
    """Return whether a visible citation names the file of a container."""
    parameters = {
        "conversation": conversation,
        "container_id": container_id,
        "file_id": file_id,
    }
    found = await unit.execute(_cites(postgresql=unit.is_postgresql), parameters)
    return bool(found.scalar_one())


@cache
def _cites(*, postgresql: bool) -> Query:
    citation = (
        select(events.c.id)
        .join(segments, segments.c.id == events.c.segment_id)
        .where(
            events.c.conversation_id == CONVERSATION,
            # As the partial index has it: a parameter would keep it from being used.
            events.c.kind == literal_column(f"'{LedgerEventKind.MESSAGE_CITATION}'"),
            visible_frame(),
            _within("type", postgresql=postgresql) == "container_file_citation",
            *(
                _within(name, postgresql=postgresql) == bindparam(name, type_=String())
                for name in ("container_id", "file_id")
            ),
        )
    )
    return select(exists(citation))


def _within(name: str, *, postgresql: bool) -> ColumnElement[Any]:
    """Return a text of the citation."""
    payload = events.c.payload_json
    if postgresql:
        return func.jsonb_extract_path_text(payload, "citation", name, type_=String())
    return func.json_extract(payload, f"$.citation.{name}", type_=String())
