"""A column of a batch is checked as its values are, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb.batch import ORDINAL, PARAMETER, check_columns, encode_batch
from agentdb.errors import InvalidValueError
from agentdb.tenancy.predicates import table_of
from agentdb.types.base import StrictType
from agentdb.types.json import (
    MAX_JSON_DEPTH,
    MAX_JSON_INTEGER_BITS,
    check_json,
    dump_json,
    write_json,
    write_text,
)
from tests.properties.scratch import Scratch
from tests.properties.values import VALUES, documents, foreign, spoiled, texts

NOWHERE: dict[str, str | None] = {"table": None, "column": None}
TABLE: Any = table_of(cast("Any", Scratch))


def outcome(work: Callable[[], object]) -> object:
    """Return a result, or the refusal that came in its place."""
    try:
        return work()
    except InvalidValueError as error:
        return type(error), str(error)


@pytest.mark.parametrize("column", VALUES)
@given(data=st.data())
def test_a_column_is_checked_as_each_of_its_values(column: str, data: st.DataObject) -> None:
    """What is told of all at once is what would be told of the first that is refused."""
    kind: StrictType[Any] = TABLE.c[column].type
    values = data.draw(st.lists(st.none() | VALUES[column] | foreign, min_size=2, max_size=5))

    checked = outcome(lambda: list(kind.check_all(values)))
    expected = outcome(lambda: [None if v is None else kind.check(v) for v in values])
    assert checked == expected
    if isinstance(checked, list):
        assert [type(v) for v in cast("list[object]", checked)] == [
            type(v) for v in cast("list[object]", expected)
        ]


@given(documents | spoiled)
def test_a_document_is_written_as_if_it_were_walked_through(value: Any) -> None:
    """Looked at as a whole or value by value, it is the same text or the same refusal."""

    def walked() -> str:
        check_json(value, NOWHERE)
        return dump_json(value)

    assert outcome(lambda: write_json(value, NOWHERE)) == outcome(walked)


@pytest.mark.parametrize("beyond", [0, 1])
def test_limits_of_a_document_hold_however_it_is_looked_at(beyond: int) -> None:
    """Depth and the length of a number are refused at the same place."""
    deep: Any = 1
    for _ in range(MAX_JSON_DEPTH - 1 + beyond):
        deep = [deep]
    for value in (deep, {"a": 2 ** (MAX_JSON_INTEGER_BITS + beyond) - 1}, {"a": 10**4500}):
        written = outcome(partial(write_json, value, NOWHERE))
        checked = outcome(partial(check_json, value, NOWHERE))
        assert isinstance(written, tuple) == isinstance(checked, tuple)


@given(texts)
def test_a_text_alone_is_written_as_any_document(text: str) -> None:
    """A text that cannot be stored is left to the check that refuses it."""
    written = write_text("text", text)

    assert written is None or written == write_json({"text": text}, NOWHERE)


@given(st.data())
def test_a_batch_holds_its_columns(data: st.DataObject) -> None:
    """Read as JSON, each row has its number and its values."""
    names = ["unbounded", "big", "jsonb", "boolean"]
    drawn = {"unbounded": st.text('aé"\\\n%{}'), "big": st.integers(-9, 9), "jsonb": documents}
    row = st.tuples(
        drawn["unbounded"], *(st.none() | drawn.get(name, st.booleans()) for name in names[1:])
    )
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    columns: dict[str, list[Any]] = {
        name: [row[place] for row in rows] for place, name in enumerate(names)
    }
    batch: list[dict[str, Any]] = json.loads(
        encode_batch(TABLE, check_columns(TABLE, columns))[PARAMETER]
    )

    assert [found.pop(ORDINAL) for found in batch] == list(range(len(rows)))
    assert [tuple(map(found.get, names)) for found in batch] == rows
