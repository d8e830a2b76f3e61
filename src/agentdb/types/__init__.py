"""The portable types: one meaning and one set of refusals on PostgreSQL and SQLite."""

from agentdb.types.json import JSONBCompat, JSONCompat, JsonObject
from agentdb.types.keys import LargeBinary, NativeEnum, Uuid, uuid_pk
from agentdb.types.numbers import INT_PK_TYPE, BigInteger, Boolean, Integer, RowId
from agentdb.types.text import Choice, CITEXTCompat, String, Text
from agentdb.types.time import UTC_NOW, Date, UTCDateTime, utc_now

__all__ = [
    "INT_PK_TYPE",
    "UTC_NOW",
    "BigInteger",
    "Boolean",
    "CITEXTCompat",
    "Choice",
    "Date",
    "Integer",
    "JSONBCompat",
    "JSONCompat",
    "JsonObject",
    "LargeBinary",
    "NativeEnum",
    "RowId",
    "String",
    "Text",
    "UTCDateTime",
    "Uuid",
    "utc_now",
    "uuid_pk",
]
