"""The plain text of a message, as the databases read it out of its content, and titles."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, func, literal_column

from agentdb.canonical import canonical_name
from agentdb.errors import InvalidValueError

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


def check_title(display_name: str) -> str:
    """Return the title of a conversation in its canonical form.

    Raises:
        InvalidValueError: Nothing of it is left, or it is no text.
    """
    title = canonical_name(display_name)
    if not title:
        expected = "expects text of 1 character or more"
        raise InvalidValueError(expected, table="agent_conversations", column="display_name")
    return title
