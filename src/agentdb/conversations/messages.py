"""Messages as columns on their way in, and as rows on their way out."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Result

from agentdb.checks import check_values
from agentdb.conversations.rows import MessageRow, NewMessage
from agentdb.conversations.statements import GIVEN
from agentdb.errors import InvalidValueError


def message_columns(message: NewMessage) -> dict[str, Any]:
    """Return a message as columns; text becomes the object that the search reads."""
    if not isinstance(message, NewMessage):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects NewMessage objects")
    content = message.content
    columns = {name: getattr(message, name) for name in (*GIVEN, "created_at")}
    columns["content"] = {"text": content} if isinstance(content, str) else content
    columns["attachments"] = check_values(message.attachments, "attachments")
    if any(type(attachment) is not dict for attachment in columns["attachments"]):
        expected = "expects JSON objects"
        raise InvalidValueError(expected, table="agent_messages", column="attachments")
    if type(columns["content"]) is not dict:
        expected = "expects text or a JSON object"
        raise InvalidValueError(expected, table="agent_messages", column="content")
    return columns


def message_rows(result: Result[Any]) -> list[MessageRow]:
    """Return the rows of a statement as messages; no attachments are none, not NULL."""
    return [_message({**row}) for row in result.mappings()]


def _message(columns: dict[str, Any]) -> MessageRow:
    columns["attachments"] = columns["attachments"] or []
    return MessageRow(**columns)
