"""Bringing all ciphertexts under the primary key, so that a retired key can be removed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import URL, Select, bindparam, select, update
from typing_extensions import Unpack, override

from agentdb.crypto.columns import ENCRYPTED, EncryptedColumn
from agentdb.crypto.keyring import KeyRing
from agentdb.database import Database
from agentdb.errors import DecryptionError, InvalidValueError
from agentdb.maintenance.aged import own
from agentdb.maintenance.runner import Batch, Counted, Plan, PlanOptions, Report, Sweep, run_sweeps
from agentdb.tenancy.predicates import model_of
from agentdb.unit_of_work import UnitOfWork

SHOWN = 100
"""How many values that no key opens a report names; it counts them all."""

WINDOW = 1000
"""Rows that a dry run holds at a time."""


class Unopened(NamedTuple):
    """Where a value is that no key of the ring opens.

    Attributes:
        table: Its table.
        column: Its column.
        id: The key of its row.
        reason: ``unknown_key`` or ``damaged``, as of `DecryptionError`.
    """

    table: str
    column: str
    id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class RotationReport(Report):
    """What a rotation did, or on a dry run would do.

    Attributes:
        unopened: The first 100 of the values that no key opens.
    """

    unopened: tuple[Unopened, ...]


async def rotate_keys(
    db: Database | str | URL,
    ring: KeyRing,
    *,
    tables: Collection[str] = (),
    **options: Unpack[PlanOptions],
) -> RotationReport:
    """Encrypt again, under the primary key, what other keys of the ring have encrypted.

    When a run over all tables is ``done`` with no value ``unopened``, and every process that
    encrypts has the same primary key, the other keys can be removed. Values under the primary key
    are left alone, so that a run that was killed is run again, and several processes may run at a
    time. Each value is replaced only if it is still the one that was read; what is written
    meanwhile stays. Locked rows are waited for, not skipped: a value left behind would be lost with
    its key.

    Values that do not say that agentdb encrypted them are counted and left alone, and so are those
    that no key opens. ``updated_at`` stays as it is.

    Args:
        db: The database, or its URL.
        ring: The new primary key and the retired ones.
        tables: The tables to walk over; by default all that have such columns.
        options: Whose rows, and in which batches: see `PlanOptions`.

    Returns:
        How many values were ``rotated``, were under the primary key before (``current``), are
        ``foreign``, or ``unopened``.

    Raises:
        InvalidValueError: A table has no such columns.
        TransientError: A row stayed locked; what was rotated until then stays so.
    """
    plan = Plan(**options)
    unopened: dict[Unopened, None] = {}
    chosen = list(_chosen(tables))
    sweeps = [Rotation(ring, columns, plan.tenant_id, unopened) for columns in chosen]
    report = await run_sweeps(db, sweeps, plan)
    return RotationReport(report.counts, report.done, tuple(unopened))


def _chosen(tables: Collection[str]) -> Iterator[Sequence[EncryptedColumn]]:
    by_table: defaultdict[str, list[EncryptedColumn]] = defaultdict(list)
    for column in ENCRYPTED:
        by_table[column.table].append(column)
    if set(tables) - by_table.keys():
        raise InvalidValueError(f"tables with encrypted columns are {', '.join(by_table)}")
    for table, columns in by_table.items():
        if not tables or table in tables:
            yield columns


class _Value(NamedTuple):
    """What a row holds in an encrypted column."""

    id: UUID
    column: EncryptedColumn
    stored: bytes
    owner: UUID | None

    @property
    def place(self) -> tuple[str, str, UUID]:
        """Where it is."""
        return self.column.table, self.column.name, self.id


class _Change(NamedTuple):
    """A value, and what is to take its place."""

    value: _Value
    fresh: bytes

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statement that replaces it needs."""
        return {"key": self.value.id, "old": self.value.stored, "fresh": self.fresh}


class Rotation(Sweep[UUID]):
    """The encrypted columns of one table, in the order of its key."""

    name = "rotate_keys"
    outcomes: ClassVar[tuple[str, ...]] = ("rotated", "current", "foreign", "unopened")

    def __init__(
        self,
        ring: KeyRing,
        columns: Sequence[EncryptedColumn],
        tenant: UUID | None,
        unopened: dict[Unopened, None],
    ) -> None:
        self._ring = ring
        self._columns = columns
        self._model = model_of(columns[0].table)
        self._table: Any = self._model.__table__
        self._tenant = tenant
        self._unopened = unopened

    @override
    async def change(self, uow: UnitOfWork, after: UUID | None, limit: int) -> Batch[UUID]:
        window = self._window(after).limit(limit)
        rows = (await uow.execute(window)).all()
        counts, changes = self._judge(self._values(rows))
        while changes:
            await self._write(uow, changes)
            written, missed = await self._read_back(uow, changes)
            counts["rotated"] += written
            # What others wrote since it was read is judged anew, until nothing is left to change.
            found, changes = self._judge(missed)
            counts += found
        return Batch(counts, rows[-1].id if len(rows) == limit else None)

    @override
    async def count(self, uow: UnitOfWork, limit: int | None) -> Counted:
        counts: Counter[str] = Counter()
        seen, after = 0, None
        while limit is None or seen < limit:
            size = WINDOW if limit is None else min(WINDOW, limit - seen)
            rows = (await uow.execute(self._window(after).limit(size))).all()
            found, changes = self._judge(self._values(rows))
            counts += found + Counter(rotated=len(changes))
            seen += len(rows)
            if len(rows) < size:
                break
            after = rows[-1].id
        return Counted(seen, counts)

    def _window(self, after: UUID | None) -> Select[Any]:
        """Select the rows behind a key; a window of them is bounded work, whatever they hold."""
        names = {"id"}.union(*({column.name, column.owner} for column in self._columns))
        key = self._table.c.id
        query: Any = select(*(self._table.c[name] for name in sorted(names)))
        query = query.where(*own(self._model, self._tenant)).order_by(key)
        window: Select[Any] = query if after is None else query.where(key > after)
        return window

    def _values(self, rows: Sequence[Any]) -> Iterator[_Value]:
        for row in rows:
            for column in self._columns:
                # Empty bytes stand where a secret was cleared.
                if stored := getattr(row, column.name):
                    yield _Value(row.id, column, stored, getattr(row, column.owner))

    def _judge(self, values: Iterable[_Value]) -> tuple[Counter[str], list[_Change]]:
        """Return how many values are left alone, and why; and what the others are to be."""
        left: Counter[str] = Counter()
        changes: list[_Change] = []
        for value in values:
            try:
                fresh = self._ring.rotate(value.stored, value.column.attribute(), owner=value.owner)
            except DecryptionError as error:
                left[self._note(value, error.reason)] += 1
                continue
            if fresh is value.stored:
                left["current"] += 1
            else:
                changes.append(_Change(value, fresh))
        return left, changes

    def _note(self, value: _Value, reason: str) -> str:
        if reason == "foreign":
            return reason
        if len(self._unopened) < SHOWN:
            # By its place, as a unit that is run again meets it again.
            self._unopened[Unopened(*value.place, reason)] = None
        return "unopened"

    async def _write(self, uow: UnitOfWork, changes: Sequence[_Change]) -> None:
        """Replace each value that is still the one that was read."""
        table = self._table
        for column in self._columns:
            of_column = [change for change in changes if change.value.column is column]
            if not of_column:
                continue
            stored = table.c[column.name]
            statement = (
                update(table)
                .where(table.c.id == bindparam("key"), stored == bindparam("old"))
                .values({stored: bindparam("fresh"), table.c.updated_at: table.c.updated_at})
            )
            await uow.execute(statement, [change.parameters for change in of_column])

    async def _read_back(
        self, uow: UnitOfWork, changes: Sequence[_Change]
    ) -> tuple[int, list[_Value]]:
        """Return how many changes were made, and the values that others made of the rest."""
        key = self._table.c.id
        # A range, as the keys may be more than a statement takes parameters.
        span = key.between(changes[0].value.id, changes[-1].value.id)
        rows = (await uow.execute(self._window(None).where(span))).all()
        fresh = {change.value.place: change.fresh for change in changes}
        values = [value for value in self._values(rows) if value.place in fresh]
        missed = [value for value in values if value.stored != fresh[value.place]]
        return len(values) - len(missed), missed
