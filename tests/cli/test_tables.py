"""The tables of the release, described from the models."""

import re
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint

from agentdb.cli.mermaid import render
from agentdb.models import Base
from agentdb.unit_of_work import UnitOfWork
from tests.cli.command import agentdb, document, rows

METADATA = Base.metadata
DOMAINS = {mapper.class_.__module__.split(".")[1] for mapper in Base.registry.mappers}

# As Mermaid's erDiagram.jison reads them.
_ATTRIBUTE = r'\n        [a-z]\w*(\(\d+\))? \w+( (PK|FK|UK)(, (PK|FK|UK))*)?( "null")?'
ENTITY = re.compile(rf"    \w+ \{{({_ATTRIBUTE})+\n    \}}")
RELATION = re.compile(r"    (\w+) (\|o|\|\|)--(o\||o\{) (\w+) : (\w+)")


def schema(*arguments: str) -> list[dict[str, Any]]:
    """Return the tables as the command writes them for programs."""
    tables: list[dict[str, Any]] = document(agentdb("schema", "--json", *arguments))["tables"]
    return tables


def test_lists_all_tables() -> None:
    """46 rows: table, domain, model, repository, tenancy class, number of columns."""
    listed = rows(agentdb("tables"))

    assert len(listed) == 46
    assert {row[0] for row in listed} == set(METADATA.tables)
    assert {row[1] for row in listed} == DOMAINS
    for table, _, model, repository, tenancy, columns in listed:
        assert repository == f"uow.{table}"
        assert tenancy in {"direct", "optional", "parent", "identity", "shared", "system"}
        assert len(METADATA.tables[table].columns) == int(columns)
        assert model in {mapper.class_.__name__ for mapper in Base.registry.mappers}


def test_the_repositories_exist(agentdb_uow: UnitOfWork) -> None:
    """What the list names can be typed."""
    assert all(hasattr(agentdb_uow, row[3].removeprefix("uow.")) for row in rows(agentdb("tables")))


def test_lists_tables_for_programs() -> None:
    """The document has the keys that are documented, and the same rows."""
    listed = document(agentdb("tables", "--json"))["tables"]

    assert {tuple(item) for item in listed} == {
        ("name", "domain", "model", "repository", "tenancy", "columns")
    }
    assert [row[0] for row in rows(agentdb("tables"))] == [item["name"] for item in listed]


def test_shows_one_table() -> None:
    """Columns with the types of both databases, keys, indexes and checks."""
    shown = rows(agentdb("tables", "conversation_ledger_events"))

    assert [row[0] for row in shown] == sorted(
        (row[0] for row in shown), key=("table", "column", "index", "check").index
    )
    assert ["column", "id", "BIGINT", "INTEGER", "NOT NULL", "primary", ""] in shown
    assert [
        "column",
        "conversation_id",
        "UUID",
        "CHAR(32)",
        "NOT NULL",
        "-> agent_conversations.id ON DELETE CASCADE",
        "",
    ] in shown
    assert any(row[1] == "ck_conversation_ledger_events_payload_present" for row in shown)


def test_shows_the_values_of_closed_lists() -> None:
    """Native enumerations and checked text alike."""
    values = {row[1]: row[6] for row in rows(agentdb("tables", "users")) if row[0] == "column"} | {
        row[1]: row[6] for row in rows(agentdb("tables", "containers")) if row[0] == "column"
    }

    assert values["platform_role"] == "platform_operator"
    assert values["memory_limit"] == "1g, 4g, 16g, 64g"


def test_shows_one_table_for_programs() -> None:
    """The same document as that of the whole schema, for one table."""
    (whole,) = [table for table in schema() if table["name"] == "users"]

    assert document(agentdb("tables", "users", "--json")) == {"table": whole}


@pytest.mark.parametrize("name", sorted(METADATA.tables))
def test_the_document_has_all_of_a_table(name: str) -> None:
    """Every column, key, index and condition of the models is in it."""
    (written,) = [table for table in schema() if table["name"] == name]
    table = METADATA.tables[name]

    assert [column["name"] for column in written["columns"]] == table.columns.keys()
    assert {c["name"] for c in written["columns"] if c["references"]} == {
        column.name for column in table.columns if column.foreign_keys
    }
    unique = {c.name for c in table.constraints if isinstance(c, UniqueConstraint)}
    assert {index["name"] for index in written["indexes"]} == unique | {
        index.name for index in table.indexes
    }
    assert {check["name"] for check in written["checks"]} == {
        c.name for c in table.constraints if isinstance(c, CheckConstraint)
    }


def test_a_column_of_one_database_has_no_type_on_the_other() -> None:
    """The search column exists on PostgreSQL alone."""
    (messages,) = [table for table in schema() if table["name"] == "agent_messages"]
    (search,) = [c for c in messages["columns"] if c["name"] == "text_tsv"]

    assert search["type"] == {"postgresql": "TSVECTOR", "sqlite": None}


def test_domains_limit_the_document() -> None:
    """A part can be drawn by itself."""
    found = schema("--domain", "stripe", "--domain", "tenants")

    assert {table["domain"] for table in found} == {"stripe", "tenants"}
    assert len(found) == 4


def test_the_diagram_is_mermaid() -> None:
    """Each line is one that the grammar of Mermaid knows, each table and foreign key is drawn."""
    first, diagram = agentdb("schema", "--mermaid").stdout.split("\n", 1)
    entities = [match[0] for match in ENTITY.finditer(diagram)]
    relations = RELATION.findall(diagram)

    assert first == "erDiagram"
    assert len(entities) == 46
    assert len(diagram.splitlines()) == len("\n".join(entities).splitlines()) + len(relations)
    assert {(parent, child, column) for parent, _, _, child, column in relations} == {
        (key.column.table.name, table.name, key.parent.name)
        for table in METADATA.tables.values()
        for key in table.foreign_keys
    }


def test_the_diagram_tells_how_many() -> None:
    """A nullable key, a key of many rows, and one that is unique."""
    diagram = agentdb("schema").stdout

    assert "    tenant_accounts ||--o| tenant_settings : tenant_id\n" in diagram
    assert "    agent_conversations ||--o{ agent_messages : conversation_id\n" in diagram
    assert "    users |o--o{ agent_conversations : user_id\n" in diagram
    assert (
        "    agent_conversations ||--o{ conversation_ledger_segments : conversation_id" in diagram
    )


def test_a_diagram_of_nothing_is_empty() -> None:
    """The heading alone is a diagram."""
    assert render([]) == "erDiagram\n"
