"""What a downgrade would delete is told before it is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from agentdb import migrate
from agentdb.errors import SchemaVersionError
from agentdb.migrate import Loss, losses
from agentdb.migrate.connections import connected
from tests.migrate.later import LaterRelease

PLAN = (
    "INSERT INTO billing_plans (id, code, name, interval, interval_count, price_cents, currency,"
    " is_active, created_at, updated_at) VALUES ('{id}', '{code}', 'Plan', 'monthly', 1, 100,"
    " 'EUR', {true}, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
)


def add_plans(url: str, count: int) -> None:
    """Store some rows in a table of revision 0007."""
    with connected(url) as connection, connection.begin():
        true = "1" if connection.dialect.name == "sqlite" else "true"
        for number in range(count):
            row = PLAN.format(id=f"{number:032x}", code=f"plan-{number}", true=true)
            connection.execute(text(row))


def test_a_downgrade_that_deletes_nothing_is_told_so(agentdb_url: str) -> None:
    """Empty tables are no loss, nor is a downgrade to where the database is."""
    assert losses(agentdb_url, "base") == []
    assert losses(agentdb_url, "head") == []


def test_the_rows_of_the_dropped_tables_are_counted(agentdb_url: str) -> None:
    """Each table that would go is named with what is in it; those that stay are not."""
    add_plans(agentdb_url, 3)

    assert losses(agentdb_url, "0006") == [Loss("billing_plans", None, 3)]
    assert losses(agentdb_url, "0007") == []
    assert migrate.current(agentdb_url) == migrate.heads()[0]


def test_counting_ends_where_it_decides_nothing(
    agentdb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table with a hundred million rows is not read through."""
    monkeypatch.setattr("agentdb.migrate.loss.COUNTED", 2)
    add_plans(agentdb_url, 3)

    assert losses(agentdb_url, "0006") == [Loss("billing_plans", None, 2)]


def test_a_dropped_column_is_a_loss_of_its_values(
    agentdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that have nothing in the column lose nothing."""
    release = LaterRelease(tmp_path)
    release.add(
        "0901",
        up='op.add_column("billing_plans", sa.Column("note", sa.Text(), nullable=True))',
        down='op.drop_column("billing_plans", "note")',
    )
    release.install(monkeypatch)
    add_plans(agentdb_url, 3)
    migrate.upgrade(agentdb_url)
    assert losses(agentdb_url, "0016") == []
    with connected(agentdb_url) as connection, connection.begin():
        connection.execute(text("UPDATE billing_plans SET note = 'x' WHERE code <> 'plan-0'"))

    assert losses(agentdb_url, "0016") == [Loss("billing_plans", "note", 2)]


def test_a_downgrade_that_cannot_be_is_refused(agentdb_empty_url: str) -> None:
    """Upwards and from nowhere there is no downgrade, and nothing is changed."""
    migrate.upgrade(agentdb_empty_url, "0003")

    for call in (losses, migrate.downgrade):
        with pytest.raises(SchemaVersionError, match="at 0003, below 0005"):
            call(agentdb_empty_url, "0005")
    assert migrate.current(agentdb_empty_url) == "0003"
