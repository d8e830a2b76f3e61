"""Expressions are compared by what they mean, not by how a database prints them."""

import pytest

from agentdb.catalog.expressions import canonical

PRINTED = [
    ("revoked_at IS NULL", "(revoked_at IS NULL)"),
    ("is_default AND deleted_at IS NULL", "(is_default AND (deleted_at IS NULL))"),
    ("a IS NULL AND b IS NULL AND c IS NULL", "((c IS NULL) AND ((a IS NULL) AND (b IS NULL)))"),
    ("granularity = 'day'", "(granularity = 'day'::usage_counter_granularity)"),
    ("granularity = 'day'", "(granularity = 'day'::other.usage_counter_granularity)"),
    ("status = 'running'", "((status)::text = 'running'::text)"),
    (
        "status IN ('ready', 'running')",
        (
            "((status)::text = ANY"
            " ((ARRAY['running'::character varying, 'ready'::character varying])::text[]))"
        ),
    ),
    ("status IN ('ready')", "(status = 'ready'::text)"),
    ("status NOT IN ('a', 'b')", "(status <> ALL (ARRAY['a'::text, 'b'::text]))"),
    ("account NOT LIKE 'user:%'", "((account)::text !~~ 'user:%'::text)"),
    ("account LIKE 'it''s'", "(account ~~ 'it''s'::text)"),
    ("NOT (a OR b)", "(NOT (b OR a))"),
    (
        "to_tsvector('english', left(coalesce(content->>'text', ''), 100000))",
        (
            "to_tsvector('english'::regconfig, \"left\"(COALESCE((content ->> 'text'::text),"
            " ''::text), 100000))"
        ),
    ),
]
OTHERS = [
    ("revoked_at IS NULL", "revoked_at IS NOT NULL"),
    ("status = 'Running'", "status = 'running'"),
    ("status = 'running'", "status <> 'running'"),
    ("a AND (b OR c)", "(a AND b) OR c"),
    ("NOT a AND b", "NOT (a AND b)"),
    ("status IN ('a', 'b')", "status IN ('a', 'c')"),
    ("day = '2024-01-01'", "day::date = '2024-01-01'"),
    ("label = 'a AND b'", "label = 'b AND a'"),
    ("account NOT LIKE 'user:%'", "account LIKE 'user:%'"),
]
NOT_UNDERSTOOD = ["a = ANY ('{a,b}'::text[])", "CASE WHEN a THEN b END", "((a)", "a b", ""]


@pytest.mark.parametrize(("ours", "printed"), PRINTED)
def test_what_postgresql_prints_equals_what_was_written(ours: str, printed: str) -> None:
    """Casts of text, parentheses, IN, LIKE and the order of AND and OR make no difference."""
    assert canonical(ours) == canonical(printed)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_what_selects_other_rows_is_another_expression(one: str, other: str) -> None:
    """Nothing that changes the meaning is dropped."""
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("sql", NOT_UNDERSTOOD)
def test_an_expression_that_is_not_understood_equals_itself_alone(sql: str) -> None:
    """It is compared as it is printed, in single blanks."""
    assert canonical(f"{sql} ") == sql
    assert canonical(sql) != canonical("a")


@pytest.mark.parametrize("sql", [ours for ours, _ in PRINTED])
def test_the_canonical_form_is_canonical(sql: str) -> None:
    """It stays as it is, so that what is shown to a person can be compared again."""
    assert canonical(canonical(sql)) == canonical(sql)
