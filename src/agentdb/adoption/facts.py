"""What is found in a database that is to be adopted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

from agentdb.catalog import Difference, Kind
from agentdb.models import Base

_ABSENT = {Kind.MISSING_TABLE, Kind.FOREIGN_TABLE}
_KEYS = "agent_conversations.conversation_key"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows.

    Attributes:
        count: How many.
        examples: The primary keys of up to five of them.
    """

    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offenders:
    """Rows that a rule of the models would refuse.

    Attributes:
        rule: The index or constraint; ``<column> NOT NULL`` for a column.
        table: Its table.
        columns: The columns that it is about.
        count: Rows that break it; of those that share a key, all.
        examples: The primary keys of up to five of them; never another value, which may be secret.
    """

    rule: str
    table: str
    columns: tuple[str, ...]
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        rows = "1 row breaks" if self.count == 1 else f"{self.count} rows break"
        return f"{self.table}: {rows} {self.rule} ({', '.join(self.columns)})"


@dataclass(frozen=True, slots=True)
class BareKeys:
    """Keys of conversations that do not begin with the id of their tenant.

    Attributes:
        count: Those that would be rewritten to ``<tenant_id>:<key>``.
        too_long: Conversations whose key would have more than 255 characters.
        taken: Conversations whose key another one has already.
    """

    count: int = 0
    too_long: Rows = Rows()
    taken: Rows = Rows()


@dataclass(frozen=True, slots=True)
class Survey:
    """How a database differs from one that the migrations built.

    Attributes:
        dialect: ``postgresql`` or ``sqlite``.
        revision: The revision that it has; a database with one is not to be adopted.
        differences: Of its tables.
        offenders: Rows that rules would refuse which the database lacks.
        bare_keys: Keys of conversations.
    """

    dialect: str
    revision: str | None
    differences: tuple[Difference, ...]
    offenders: tuple[Offenders, ...] = ()
    bare_keys: BareKeys = BareKeys()

    @property
    def missing_tables(self) -> tuple[str, ...]:
        """The tables that the database lacks."""
        return tuple(d.table for d in self.differences if d.kind is Kind.MISSING_TABLE)

    def refusals(self, accept: Collection[str] = (), *, apply: bool = False) -> tuple[str, ...]:
        """Return why `adopt` would refuse, in sentences; nothing where it would go through.

        Args:
            accept: Keys of differences to leave as they are, or patterns such as ``*:default``.
            apply: Whether the harmless differences would be closed first.
        """
        if self.revision is not None:
            return (f"the database is at revision {self.revision} already",)
        remaining = [d for d in self.differences if not (apply and d.harmless)]
        absent = [d for d in self.differences if d.kind in _ABSENT]
        if len(absent) == len(Base.metadata.tables):
            return ("the database has none of our tables: run `agentdb upgrade`",)
        return (
            *(str(offenders) for offenders in self.offenders),
            *(_refusal(difference) for difference in remaining if not _is_left(difference, accept)),
            *self._bare_keys(accept),
        )

    def _bare_keys(self, accept: Collection[str]) -> tuple[str, ...]:
        keys = self.bare_keys
        why = {"too_long": "too long", "taken": "those of others"}
        return tuple(
            f"{_KEYS}: {rows.count} keys would be {why[kind]} ({_KEYS}:{kind})"
            for kind, rows in (("too_long", keys.too_long), ("taken", keys.taken))
            if rows.count and not _is_accepted(f"{_KEYS}:{kind}", accept)
        )

    def as_dict(self) -> dict[str, object]:
        """Return the survey as JSON takes it."""
        return {
            "dialect": self.dialect,
            "revision": self.revision,
            "differences": [difference.as_dict() for difference in self.differences],
            "missing_tables": list(self.missing_tables),
            "offenders": [asdict(offenders) for offenders in self.offenders],
            "bare_keys": asdict(self.bare_keys),
        }


def _refusal(difference: Difference) -> str:
    return f"{difference} ({difference.key})"


def _is_left(difference: Difference, accept: Collection[str]) -> bool:
    """Whether a difference may stay; a table cannot be missing, whoever accepts it."""
    if difference.kind in _ABSENT:
        return False
    return difference.informational or _is_accepted(difference.key, accept)


def _is_accepted(key: str, accept: Collection[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in accept)
