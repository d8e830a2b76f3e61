"""The host's own models: their metadata is theirs, and they refer to ours by column."""

from uuid import UUID

from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from agentdb.models import TenantAccount, User
from planner.settings import PLANNER_SCHEMA

# References are told apart by their names where their schema is not written.
NAMES = {"fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}


class Base(DeclarativeBase):
    """The base of the host."""

    metadata = MetaData(schema=PLANNER_SCHEMA, naming_convention=NAMES)


class Country(Base):
    """What the host had before it used agentdb."""

    __tablename__ = "countries"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Project(Base):
    """A project of a tenant; it goes with the tenant."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(TenantAccount.id, ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))


class ProjectMember(Base):
    """A user who works on a project."""

    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(
        ForeignKey(Project.id, ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), primary_key=True)
