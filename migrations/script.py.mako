<%! from agentdb import __version__ as release %>\
"""${message}.

Rules for a revision:

* It is frozen once released. It imports no model and no value list: it spells out tables, columns,
  labels and names, so that a later change of the models does not change it. Of ``agentdb`` it
  imports types alone, which never change what they render.
* It runs on both databases; what only PostgreSQL has stands behind ``on_postgresql()``. On SQLite a
  changed column is a rebuilt table: ``op.batch_alter_table(..., copy_from=<the full table>)``, as
  reflection loses AUTOINCREMENT and COLLATE.
* Every constraint and index has an explicit name of at most 63 bytes; checks wrap it in ``op.f``.
* ``downgrade`` undoes it, the enumeration types of PostgreSQL included.
* It says which locks it takes on PostgreSQL and for how long: a new index on a filled table belongs
  into a revision of its own with CONCURRENTLY, a new NOT NULL needs a checked constraint first.
* Columns get no server default: defaults live in the models.
* ``phase`` is ``"expand"`` where the release before it still works on the new schema, readers and
  writers alike. What takes away something that it uses, or forbids what it writes, is
  ``"contract"``, and its number says so to releases that do not have the file: ``NNNN_FFFF``, where
  FFFF is the oldest head that still works, from then on in the numbers of all that follow.
* ``release`` is the version of the package that ships it first.
* It names no schema, and plain SQL in it names tables through ``in_schema("table")``.

Delete these rules from the revision once you have followed them.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
phase = "expand"
release = "${release}"


def upgrade() -> None:
    """Describe the change."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Describe the way back."""
    ${downgrades if downgrades else "raise NotImplementedError"}


def on_postgresql() -> bool:
    """Tell whether the revision runs on PostgreSQL."""
    return op.get_context().dialect.name == "postgresql"
