"""The base of the 46 tables: naming, dataclass options, mixins, declarations of tenancy."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, dataclass_transform
from uuid import UUID, uuid4

from sqlalchemy import Index, MetaData, inspect, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    mapped_column,
    relationship,
)
from sqlalchemy.orm.decl_api import DCTransformDeclarative

from agentdb.types import INT_PK_TYPE, UTC_NOW, UTCDateTime, Uuid, uuid_pk

# Without the referred table: with it, names of foreign keys pass PostgreSQL's 63 bytes
# (https://www.postgresql.org/docs/current/limits.html) and would be cut to a hash.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class TenancyClass(Enum):
    """How the rows of a table belong to tenants."""

    DIRECT = "direct"
    """A tenant column names the owner."""
    OPTIONAL = "optional"
    """A tenant column names the owner; rows without one belong to system units."""
    PARENT = "parent"
    """The row belongs to the tenant of the row that it refers to."""
    IDENTITY = "identity"
    """People, who may be members of several tenants."""
    SHARED = "shared"
    """One set of rows for all tenants, which they only read."""
    SYSTEM = "system"
    """Rows of the operator."""


@dataclass(frozen=True, kw_only=True)
class Tenancy:
    """Declares how a table belongs; the filters, guards and policies follow from it.

    Attributes:
        kind: The class of the table.
        column: The column that names the tenant (direct, optional), the parent (parent) or the
            user (identity); None for shared and system tables.
        parent: Table that *column* refers to, for rows that belong by a parent.
        as_text: Whether the tenant column holds the canonical text of the id.
        shows_members: Whether a tenant unit also reads its members' rows that have no tenant.
    """

    kind: TenancyClass
    column: str | None = None
    parent: str | None = None
    as_text: bool = False
    shows_members: bool = False

    @classmethod
    def direct(cls, column: str = "tenant_id", *, as_text: bool = False) -> "Tenancy":
        """Declare rows of one tenant."""
        return cls(kind=TenancyClass.DIRECT, column=column, as_text=as_text)

    @classmethod
    def optional(cls, *, shows_members: bool = False) -> "Tenancy":
        """Declare rows of one tenant or of none."""
        return cls(kind=TenancyClass.OPTIONAL, column="tenant_id", shows_members=shows_members)

    @classmethod
    def via(cls, column: str, parent: str) -> "Tenancy":
        """Declare rows that belong to the tenant of their parent."""
        return cls(kind=TenancyClass.PARENT, column=column, parent=parent)

    @classmethod
    def identity(cls, column: str = "user_id") -> "Tenancy":
        """Declare rows of a person."""
        return cls(kind=TenancyClass.IDENTITY, column=column)

    @classmethod
    def shared(cls) -> "Tenancy":
        """Declare rows that every tenant reads and none writes."""
        return cls(kind=TenancyClass.SHARED)

    @classmethod
    def system(cls) -> "Tenancy":
        """Declare rows of the operator alone."""
        return cls(kind=TenancyClass.SYSTEM)


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index of the rows that *where* selects, which reads the same on both databases."""
    predicate = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=predicate, sqlite_where=predicate)


@dataclass_transform(
    kw_only_default=True, eq_default=False, field_specifiers=(mapped_column, relationship)
)
class KeywordOnly(DCTransformDeclarative):
    """Tells type checkers what ``kw_only=True`` below does: PEP 681 does not inherit it."""


class Model(MappedAsDataclass, metaclass=KeywordOnly, kw_only=True, eq=False, repr=False):
    """The dataclass options that the base and its mixins share."""


class Base(Model, DeclarativeBase):
    """The base of every model; ``Base.metadata`` holds the 46 tables."""

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    __tenancy__: ClassVar[Tenancy]
    __secrets__: ClassVar[frozenset[str]] = frozenset()
    """Attributes that no Read schema, log or message may show."""

    def __repr__(self) -> str:
        """Show the key alone: other columns may be secret, relationships may not be loaded."""
        state = inspect(self)
        key: tuple[Any, ...] | None = state.identity
        shown = ", ".join(map(str, key)) if key else "not stored"
        return f"<{type(self).__name__} {shown}>"


class UuidKey(Model):
    """A time-ordered UUID as primary key."""

    id: Mapped[UUID] = mapped_column(
        Uuid(), primary_key=True, insert_default=uuid_pk, default_factory=uuid_pk, sort_order=-1
    )


class RandomKey(Model):
    """A random UUID as primary key, which tells nobody when the row was made."""

    id: Mapped[UUID] = mapped_column(
        Uuid(), primary_key=True, insert_default=uuid4, default_factory=uuid4, sort_order=-1
    )


class NumberKey(Model):
    """A number that the database draws as primary key; never used again after a deletion."""

    id: Mapped[int] = mapped_column(
        INT_PK_TYPE, primary_key=True, autoincrement=True, init=False, sort_order=-1
    )


class Created(Model):
    """The instant at which the row was made."""

    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime(), insert_default=UTC_NOW, default_factory=UTC_NOW, sort_order=98
    )


class Timestamps(Created):
    """The instants at which the row was made and last written."""

    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime(),
        insert_default=UTC_NOW,
        default_factory=UTC_NOW,
        onupdate=UTC_NOW,
        sort_order=99,
    )


class SoftDeleted(Model):
    """A row that is hidden by the instant of its deletion and purged later."""

    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime(), default=None, sort_order=100)
