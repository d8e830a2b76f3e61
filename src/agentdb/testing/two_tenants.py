"""Two tenants with a row in every table, and what ties them to each other nonetheless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from agentdb.orm import TenancyClass
from agentdb.testing.factories.columns import EPOCH, is_drawn
from agentdb.testing.factories.references import models_by_table, table_of
from agentdb.testing.marks import FIRST_NUMBER
from agentdb.testing.samples import Rows, sample_row, sample_rows, store, unowned_rows

_SHARED, _BOTH, _OPEN = "xqcommon", "xqboth", "xqopen"
_OF_BOTH = ("tenant_user_memberships", "user_notification_preferences", "user_sessions")
"""What a tenant stores about a person of another tenant who is its member too."""
_STEP = 10_000_000
_NEXT = FIRST_NUMBER + 9 * _STEP
"""The number that the database gives to the next row."""


@dataclass(frozen=True)
class Party:
    """Whose rows they are.

    Attributes:
        label: Stands in every text of its rows, and nowhere else.
        at: The instant of its rows.
        number: The first number that is the key of one of its rows.
    """

    label: str
    at: datetime
    number: int


PARTIES = (
    Party("xqalfa", EPOCH, FIRST_NUMBER + _STEP),
    Party("xqbeta", EPOCH + timedelta(days=1), FIRST_NUMBER + 2 * _STEP),
)
NOBODY = Party("xqnone", EPOCH + timedelta(days=1), FIRST_NUMBER + 3 * _STEP)
DAYS = {str(party.at.date()) for party in PARTIES}
"""The days of all instants in the rows."""


def labels_beside(party: Party) -> set[str]:
    """Return the labels of the rows that *party* must not see."""
    return {other.label for other in PARTIES if other is not party} | {_BOTH, _OPEN}


def shared_rows() -> Rows:
    """Return the rows that all tenants read."""
    rows: Rows = {}
    for name, model in models_by_table().items():
        if model.__tenancy__.kind is TenancyClass.SHARED:
            rows[name] = sample_row(name, _SHARED, rows)
    return _numbered(rows, FIRST_NUMBER)


def rows_of(party: Party, shared: Mapping[str, Any]) -> Rows:
    """Return a row of every table, those that all tenants read included."""
    rows = sample_rows(party.label, at=party.at, given=shared)
    own = {name: row for name, row in rows.items() if name not in shared}
    return {**shared, **_numbered(own, party.number)}


def rows_beside(rows: Rows, other: Rows) -> list[Any]:
    """Return what ties two tenants: rows of nobody, and rows of the *other* about people of one."""
    parents = {**rows, "tenant_accounts": other["tenant_accounts"]}
    both = {name: sample_row(name, _BOTH, parents) for name in _OF_BOTH}
    unowned = unowned_rows(_OPEN, other)
    return [*unowned.values(), *both.values()]


def store_in(connection: Connection, rows: list[Any]) -> None:
    """Store rows in the transaction of *connection*."""
    mode: Any = "create_savepoint"
    with Session(connection, join_transaction_mode=mode, expire_on_commit=False) as session:
        store(session, rows)
        session.commit()


def restart_numbers(connection: Connection) -> None:
    """Have the database number new rows from one number on, the same for every call."""
    for name in models_by_table():
        if _number_of(name) is None:
            continue
        if connection.dialect.name == "postgresql":
            # Undone with the transaction, unlike setval.
            find = text("SELECT pg_get_serial_sequence(:t, 'id')")
            sequence = connection.execute(find, {"t": name}).scalar_one()
            connection.exec_driver_sql(f"ALTER SEQUENCE {sequence} RESTART WITH {_NEXT}")
        else:
            move = text("UPDATE sqlite_sequence SET seq = :n WHERE name = :t")
            connection.execute(move, {"n": _NEXT - 1, "t": name})


def _numbered(rows: Rows, first: int) -> Rows:
    for number, (name, row) in enumerate(rows.items(), first):
        if key := _number_of(name):
            setattr(row, key, number)
    return rows


def _number_of(name: str) -> str | None:
    """Return the key of a table, if the database numbers its rows."""
    columns = table_of(models_by_table()[name]).primary_key.columns
    return next((column.key for column in columns if is_drawn(column)), None)
