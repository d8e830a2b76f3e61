"""Column aliases: one name carries the length for SQLAlchemy, pydantic and Hypothesis alike."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from annotated_types import Ge, Le, MaxLen
from sqlalchemy.orm import mapped_column

from agentdb.types import (
    INT_PK_TYPE,
    BigInteger,
    Boolean,
    CITEXTCompat,
    Date,
    Integer,
    JSONBCompat,
    JSONCompat,
    LargeBinary,
    String,
    Text,
    UTCDateTime,
    Uuid,
)

Str3 = Annotated[str, MaxLen(3), mapped_column(String(3))]
Str8 = Annotated[str, MaxLen(8), mapped_column(String(8))]
Str16 = Annotated[str, MaxLen(16), mapped_column(String(16))]
Str24 = Annotated[str, MaxLen(24), mapped_column(String(24))]
Str32 = Annotated[str, MaxLen(32), mapped_column(String(32))]
Str64 = Annotated[str, MaxLen(64), mapped_column(String(64))]
Str96 = Annotated[str, MaxLen(96), mapped_column(String(96))]
Str128 = Annotated[str, MaxLen(128), mapped_column(String(128))]
Str255 = Annotated[str, MaxLen(255), mapped_column(String(255))]
Str256 = Annotated[str, MaxLen(256), mapped_column(String(256))]
Str512 = Annotated[str, MaxLen(512), mapped_column(String(512))]
Str = Annotated[str, mapped_column(String())]
LongText = Annotated[str, mapped_column(Text())]
Email = Annotated[str, MaxLen(255), mapped_column(CITEXTCompat())]

Int = Annotated[int, Ge(-(2**31)), Le(2**31 - 1), mapped_column(Integer())]
BigInt = Annotated[int, Ge(-(2**63)), Le(2**63 - 1), mapped_column(BigInteger())]
RowNumber = Annotated[int, Ge(-(2**63)), Le(2**63 - 1), mapped_column(INT_PK_TYPE)]
Bool = Annotated[bool, mapped_column(Boolean())]

UuidRef = Annotated[UUID, mapped_column(Uuid())]
Instant = Annotated[datetime, mapped_column(UTCDateTime())]
Day = Annotated[date, mapped_column(Date())]
Bytes = Annotated[bytes, mapped_column(LargeBinary())]

JsonDict = Annotated[dict[str, Any], mapped_column(JSONBCompat())]
JsonList = Annotated[list[dict[str, Any]], mapped_column(JSONBCompat())]
JsonStrings = Annotated[list[str], mapped_column(JSONBCompat())]
JsonAny = Annotated[Any, mapped_column(JSONBCompat())]
PlainJsonDict = Annotated[dict[str, Any], mapped_column(JSONCompat())]
