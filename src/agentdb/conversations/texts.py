"""The plain text of a message, as the databases read it out of its content."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, func, literal_column

_KEY: ColumnElement[str] = literal_column("'text'")
_PATH: ColumnElement[str] = literal_column("'$.text'")


def text_of(content: Any, *, postgresql: bool) -> ColumnElement[str]:
    """Return the value of the key ``text`` of a content, which may be no text."""
    if postgresql:
        return func.jsonb_extract_path_text(content, _KEY, type_=Text())
    return func.json_extract(content, _PATH, type_=Text())


def has_text(content: Any, *, postgresql: bool) -> ColumnElement[bool]:
    """Return the condition that it is text: of an object or a number, the JSON would be read."""
    if postgresql:
        return func.jsonb_typeof(func.jsonb_extract_path(content, _KEY)) == "string"
    kind: ColumnElement[str] = func.json_type(content, _PATH, type_=Text())
    return and_(kind == "text")
