"""What Alembic writes into a host's revision where it refers to our tables."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import produce_migrations, render_op_text
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, create_engine

from agentdb import migrate
from agentdb.models import User
from agentdb.types import Uuid

NAMES = {"fk": "fk_%(table_name)s_%(column_0_name)s"}


def written(*metadata: MetaData) -> str:
    """Return the statements that would make the tables of a host."""
    target: Any = metadata[0] if len(metadata) == 1 else list(metadata)
    options = {
        "target_metadata": target,
        "render_item": migrate.render_item,
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "user_module_prefix": None,
    }
    with create_engine("sqlite://").connect() as connection:
        migration = MigrationContext.configure(connection, opts=options)
        proposed = produce_migrations(migration, target).upgrade_ops
        assert proposed is not None
        context = AutogenContext(migration, metadata=target, opts=options)
        lines = [render_op_text(context, operation) for operation in proposed.ops]
    return "\n".join([*sorted(context.imports), *lines])


def host(metadata: MetaData, reference: ForeignKey) -> MetaData:
    """Add a table with a reference to the metadata of a host."""
    # Its type is that of what it refers to.
    user_id: Column[Any] = Column("user_id", reference)
    Table("notes", metadata, Column("id", Integer, primary_key=True), user_id)
    return metadata


def test_a_reference_has_a_type_that_is_imported() -> None:
    """The type is that of the column referred to."""
    text = written(host(MetaData(), ForeignKey(User.id)))

    assert "import agentdb.types\n" in text
    assert "'user_id', agentdb.types.Uuid()" in text


@pytest.mark.parametrize("with_ours", [False, True])
def test_a_reference_does_not_get_the_schema_of_the_host(with_ours: bool) -> None:
    """Ours is named by the search path, or by the map of schemas."""
    metadata = MetaData(schema="planner", naming_convention=NAMES)
    host(metadata, ForeignKey(User.id, ondelete="CASCADE", deferrable=True))
    metadatas = [metadata, User.metadata] if with_ours else [metadata]

    text = written(*metadatas)

    said = "ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notes_user_id'), "
    assert f"sa.{said}ondelete='CASCADE', deferrable=True)" in text


def test_a_reference_keeps_a_name_of_its_own() -> None:
    """As it keeps having none."""
    named = written(host(MetaData(schema="planner"), ForeignKey(User.id, name="fk_author")))
    unnamed = written(host(MetaData(schema="planner"), ForeignKey(User.id)))

    assert "['users.id'], name='fk_author')" in named
    assert "['users.id'])" in unnamed


def test_references_of_the_host_are_left_to_alembic() -> None:
    """A host may have users of its own."""
    metadata = MetaData(schema="planner")
    Table("users", metadata, Column("id", Integer, primary_key=True))

    text = written(host(metadata, ForeignKey("planner.users.id")))

    assert "['planner.users.id']" in text
    assert "agentdb" not in text


def test_a_reference_of_the_host_by_a_short_name_is_the_hosts() -> None:
    """Its metadata has the table, under its schema."""
    metadata = MetaData(schema="planner")
    Table("users", metadata, Column("id", Uuid(), primary_key=True))

    assert "['planner.users.id']" in written(host(metadata, ForeignKey("users.id")))
