"""Making one row: its tenant, its parents, its values, and what it changes elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar, cast
from uuid import UUID

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.orm import Session, attributes

from agentdb.driver_errors import orm_errors
from agentdb.orm import Base
from agentdb.tenants.models import TenantAccount
from agentdb.testing.factories.columns import EPOCH, USUAL
from agentdb.testing.factories.drafts import Draft
from agentdb.testing.factories.ownership import (
    OWNERLESS,
    check_parents,
    inherit,
    tenant_column,
    tenant_of_parents,
)
from agentdb.testing.factories.references import (
    as_held,
    key_in,
    models_by_table,
    parameters,
    references,
)
from agentdb.testing.factories.rules import AFTER, BEFORE, UNOWNED, is_taken

M = TypeVar("M", bound=Base)

SEEDS = 2**32
BY_RULE = "segment_id"
"""The reference that the rules of a table find themselves: the active segment."""


class Builder:
    """Makes rows of any table, one transaction a call."""

    def __init__(
        self,
        bind: Engine | Connection | Session,
        *,
        tenant: TenantAccount | None = None,
        seed: int = 0,
    ) -> None:
        """Take note; nothing is stored.

        Args:
            bind: Where rows are stored. On an engine each call commits. On a connection it leaves
                the commit to the caller who has begun a transaction there. On a session rows are
                flushed, stay attached, and the caller commits; give `AsyncSession.run_sync` a
                function that does so. After a rollback of the caller's, use a new factory.
            tenant: Whose rows are made where nothing is said; None for a new one.
            seed: Which values are made: the same calls with the same seed make the same ones, so
                that a second factory on one database needs a seed of its own.

        Raises:
            ValueError: The seed is not from 0 to 4294967295.
        """
        if not 0 <= seed < SEEDS:
            raise ValueError("a seed is a number from 0 to 4294967295")
        self._bind = bind
        self._seed = seed
        self._tenant = tenant
        self._session: Session | None = None
        self._numbers: Counter[type[Base]] = Counter()
        self._ticks = 0

    @property
    def tenant(self) -> TenantAccount:
        """The tenant whose rows are made where nothing is said; made when it is first needed."""
        if self._tenant is None:
            self._tenant = self.make(TenantAccount)
        return self._tenant

    def make(self, model: type[M], /, **values: object) -> M:
        """Store a row of *model*, with the parents that it needs, and return it.

        Args:
            model: The model.
            values: Columns by attribute; a reference takes the row or its key, under the name of
                its column with or without ``_id``.

        Raises:
            TypeError: A name stands for nothing, or a reference is a row of another table.
            TenantMismatchError: It would refer to rows of several tenants.
            AgentDBError: The database refuses the row; nothing is stored.
        """
        with self.transaction() as session:
            return cast("M", self._make(session, model, values))

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """Yield the session of the call, within one transaction from the outermost call on."""
        if self._session is not None:
            yield self._session
            return
        tenant = self._tenant
        try:
            with orm_errors(), self._begun() as session:
                self._session = session
                yield session
                session.flush()
        except BaseException:
            self._tenant = tenant  # one that was made meanwhile is not stored
            raise
        finally:
            self._session = None

    @contextmanager
    def _begun(self) -> Generator[Session]:
        if isinstance(self._bind, Session):
            with self._bind.begin_nested():
                yield self._bind
            return
        with (
            Session(
                self._bind, expire_on_commit=False, join_transaction_mode="create_savepoint"
            ) as session,
            session.begin(),
        ):
            yield session

    def _make(self, session: Session, model: type[Base], given: dict[str, object]) -> Base:
        draft = self.draft(session, model)
        draft.take(given)
        self._find_tenant(draft)
        check_parents(draft)
        self._add_parents(draft)
        if model in BEFORE:
            BEFORE[model](draft)
        row = draft.row()
        session.add(row)
        session.flush()
        if model in AFTER:
            AFTER[model](draft, row)
            session.flush()
        bring_up_to_date(draft)
        return row

    def draft(self, session: Session, model: type[Base]) -> Draft:
        """Return the next row of *model*, of which nothing is known."""
        self._numbers[model] += 1
        number = self._numbers[model]
        label = f"{self._seed}-{number}" if self._seed else str(number)
        return Draft(self, session, model, number, label, self._tick)

    def _tick(self) -> datetime:
        self._ticks += 1
        return EPOCH + timedelta(seconds=self._ticks)

    def _find_tenant(self, draft: Draft) -> None:
        """Settle whose the row is: as said, else as its parents, else the factory's tenant."""
        inherit(draft)
        column = tenant_column(draft.model)
        if draft.model.__tenancy__.kind in OWNERLESS or draft.model is TenantAccount:
            return
        if "tenant_id" in draft.values:
            held = draft.values["tenant_id"]
            draft.tenant = None if held is None else _tenant_id(held)
        else:
            draft.tenant = tenant_of_parents(draft) or self._default_tenant(draft)
        if column is None:
            draft.values.pop("tenant_id", None)
        elif draft.tenant is not None:
            held = references(draft.model)[column][0]
            draft.values[column] = as_held(held, draft.tenant)

    def _default_tenant(self, draft: Draft) -> UUID | None:
        if draft.model in UNOWNED:
            return None
        tenant = self.tenant.id
        return self.make(TenantAccount).id if is_taken(draft, tenant) else tenant

    def _add_parents(self, draft: Draft) -> None:
        """Make the rows that it has to refer to and was not told."""
        for attribute, (column, target) in references(draft.model).items():
            usual = (draft.model.__tablename__, column.name) in USUAL
            if column.nullable or usual or attribute in draft.values or attribute == BY_RULE:
                continue
            model = models_by_table()[target.table]
            owner = {"tenant": draft.tenant} if "tenant" in parameters(model) else {}
            if draft.model.__tablename__ == "tenant_user_memberships":
                owner = {"tenant": None}
            draft.values[attribute] = key_in(column, self.make(model, **owner), target)


def _tenant_id(held: object) -> UUID:
    try:
        return UUID(str(held))
    except ValueError:
        raise TypeError("a tenant is a TenantAccount or its id") from None


def bring_up_to_date(draft: Draft) -> None:
    """Show in the rows that the caller handed in what the rules have changed."""
    stored = {inspect(row).key: row for row in draft.held}
    for parent in draft.parents.values():
        state = inspect(parent)
        if state.detached and state.key in stored:
            row = stored[state.key]
            for name in set(state.mapper.column_attrs.keys()) - inspect(row).unloaded:
                attributes.set_committed_value(parent, name, getattr(row, name))
