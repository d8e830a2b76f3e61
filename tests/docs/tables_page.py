"""Writes the page of the tables: ``python -m tests.docs.tables_page`` after a model has changed."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from agentdb.models import Base

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tables.md"

_HEAD = """\
# Tables

Each table is an attribute of the unit of work; its model and schemas are in `agentdb.models` and
`agentdb.schemas`.
"""

_COLUMNS = """\
| table | a row is | model |
| --- | --- | --- |
"""


def render() -> str:
    """Return the page: each domain, its tables, and what one row of them is."""
    models = sorted(
        (mapper.class_ for mapper in Base.registry.mappers),
        key=lambda model: (model.__module__, model.__tablename__),
    )
    return "".join(_lines(models))


def _lines(models: list[type[Base]]) -> Iterator[str]:
    yield _HEAD
    domain = ""
    for model in models:
        if model.__module__ != domain:
            domain = model.__module__
            yield f"\n## {domain.split('.')[1]}\n\n{_COLUMNS}"
        summary = (inspect.getdoc(model) or "").partition("\n\n")[0].replace("\n", " ")
        yield f"| `{model.__tablename__}` | {summary} | `{model.__name__}` |\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
