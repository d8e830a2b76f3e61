"""What SQLAlchemy and aiosqlite log at DEBUG, without the values of parameters and rows."""

from __future__ import annotations

import logging
from functools import partial

from typing_extensions import override

LOGGING_NAME = "agentdb"
"""What the loggers of our own engines end in; a host's engines keep theirs."""

_HIDDEN = "[hidden]"


class _WithoutRow(logging.Filter):
    """Hides the rows of a result, which ``hide_parameters`` of SQLAlchemy leaves."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and record.msg.endswith("Row %r") and record.args:
            record.args = (*tuple(record.args)[:-1], _HIDDEN)
        return True


class _WithoutArguments(logging.Filter):
    """Shows the name alone of what a thread of aiosqlite calls: parameters are its arguments."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_arguments, record.args))
        return True


def _without_arguments(logged: object) -> object:
    if not isinstance(logged, partial):
        return logged
    called: object = logged.func
    return f"{getattr(called, '__name__', type(called).__name__)}({_HIDDEN})"


def hide_values() -> None:
    """Keep values out of the logs of the drivers, in this process; a repeated call does nothing."""
    for name, kind in _FILTERS.items():
        logger = logging.getLogger(name)
        if not any(isinstance(present, kind) for present in logger.filters):
            logger.addFilter(kind())


_FILTERS: dict[str, type[logging.Filter]] = {
    f"sqlalchemy.engine.Engine.{LOGGING_NAME}": _WithoutRow,
    "aiosqlite": _WithoutArguments,
}
