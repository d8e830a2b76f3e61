"""Messages as columns on their way in, and as rows on their way out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, cast
from uuid import UUID

from agentdb.batch import Columns, check_columns
from agentdb.checks import check_values
from agentdb.conversations.rows import MessageRow, NewMessage
from agentdb.conversations.statements import GIVEN, RETURNED, messages
from agentdb.direct import Row
from agentdb.errors import InvalidValueError
from agentdb.types.json import JsonText, write_text

_NOTHING = JsonText("[]")


def message_columns(message: NewMessage) -> dict[str, Any]:
    """Return a message as columns; text becomes the object that the search reads."""
    return {name: values[0] for name, values in _columns([message]).items()}


def check_messages(given: Sequence[NewMessage]) -> Columns:
    """Return messages as checked columns of a batch.

    Raises:
        InvalidValueError: One is no message, or a column refuses its value.
    """
    columns = _columns(given)
    # Most messages are a text without anything attached: what becomes of it is known.
    columns["attachments"] = [a or _NOTHING for a in columns["attachments"]]
    columns["content"] = [
        _written(message.content) or c for message, c in zip(given, columns["content"], strict=True)
    ]
    return check_columns(messages, columns)


def _written(content: object) -> JsonText | None:
    return write_text("text", content) if isinstance(content, str) else None


def _columns(given: Sequence[NewMessage]) -> dict[str, list[Any]]:
    if not all(isinstance(message, NewMessage) for message in given):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects NewMessage objects")
    columns = {name: list(map(attrgetter(name), given)) for name in (*GIVEN, "created_at")}
    columns["content"] = list(map(_content, columns["content"]))
    columns["attachments"] = list(map(_attachments, columns["attachments"]))
    return columns


def _content(given: Any) -> dict[str, Any]:
    content: Any = {"text": given} if isinstance(given, str) else given
    if type(content) is not dict:
        expected = "expects text or a JSON object"
        raise InvalidValueError(expected, table="agent_messages", column="content")
    return cast("dict[str, Any]", content)


def _attachments(attachments: Any) -> list[Any]:
    values = check_values(attachments, "attachments") if attachments != () else []
    if any(type(attachment) is not dict for attachment in values):
        expected = "expects JSON objects"
        raise InvalidValueError(expected, table="agent_messages", column="attachments")
    return values


def stored_messages(
    conversation: UUID, given: Sequence[NewMessage], columns: Columns, made: list[Row]
) -> list[MessageRow]:
    """Return the messages of an append, in order.

    Args:
        conversation: Their conversation.
        given: The messages.
        columns: What was stored of them.
        made: What the append made of each.
    """
    made.sort(key=lambda row: row[2])
    numbers, segments, positions, stamps = zip(*made, strict=True)
    documents: dict[str, Iterable[Any]] = {
        "content": map(_read_content, given, columns["content"]),
        "attachments": map(_read_attachments, columns["attachments"]),
    }
    stored = [documents.get(name) or columns.get(name) or repeat(None) for name in GIVEN]
    rows = zip(numbers, repeat(conversation), segments, positions, *stored, stamps, strict=False)
    return list(map(MessageRow._make, rows))


def _read_content(message: NewMessage, stored: str) -> dict[str, Any]:
    """Return a content as it is read back; what a plain text comes to needs no reading."""
    text = message.content
    return {"text": text} if type(text) is str else json.loads(stored)


def _read_attachments(stored: str) -> list[Any]:
    return [] if stored == _NOTHING else json.loads(stored)


def message_rows(rows: list[Row]) -> list[MessageRow]:
    """Return rows of a statement as messages; no attachments are none, not NULL."""
    return [MessageRow._make(_filled(row)) for row in rows]


def _filled(row: Row) -> Row:
    return row if row[_ATTACHMENTS] is not None else (*row[:_ATTACHMENTS], [], *row[_AFTER:])


_ATTACHMENTS = RETURNED.index("attachments")
_AFTER = _ATTACHMENTS + 1
