"""Everything that a value lets its reader see, as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from enum import Enum
from types import ModuleType
from typing import Any, cast
from uuid import UUID

from sqlalchemy import URL
from sqlalchemy.orm import InstanceState

_OPAQUE = {"_asyncio", "_thread", "aiosqlite", "asyncio", "psycopg", "sqlalchemy", "threading"}
"""Packages whose objects are no data."""


async def collected(result: object) -> object:
    """Return what *result* comes to: awaited, and read to its end if it is a stream."""
    if isinstance(result, Awaitable):
        result = await cast("Awaitable[object]", result)
    if isinstance(result, AsyncIterator):
        return [item async for item in cast("AsyncIterator[object]", result)]
    return list(cast("Iterator[object]", result)) if isinstance(result, Iterator) else result


def shown(value: object) -> str:
    """Return all texts, numbers and other values within *value*, one a line.

    It looks into models as far as they are loaded, dataclasses, pydantic models and other objects
    by their attributes, mappings with their keys, iterables, and exceptions with their causes,
    notes and attributes. Objects of SQLAlchemy, of drivers and of asyncio are no data.
    """
    return "\n".join(_lines(value, {}))


def told_by(error: BaseException) -> list[object]:
    """Return what an error itself tells: kind, words, notes and attributes, without its causes."""
    told: list[object] = [
        type(error).__name__,
        str(error),
        *error.args,
        *getattr(error, "__notes__", ()),
    ]
    if _is_opaque(type(error)):
        return told
    return [*told, *(part for key, part in vars(error).items() if not key.startswith("_"))]


def _lines(value: object, seen: dict[int, object]) -> Iterator[str]:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bytes | bytearray):
        yield value.decode("utf-8", "replace")
        return
    if value is None or isinstance(value, str | int | float | complex | UUID):
        yield str(value)
        return
    if id(value) in seen:
        return
    seen[id(value)] = value  # held, so that its id is not given to another
    for part in _parts(value):
        if part is value:
            yield str(value)
        else:
            yield from _lines(part, seen)


def _parts(value: object) -> Iterable[object]:
    """Return what *value* consists of; itself, if it has no parts."""
    state: object = getattr(value, "_sa_instance_state", None)
    if isinstance(state, InstanceState):
        loaded: dict[str, Any] = state.dict
        return [v for k, v in loaded.items() if k != "_sa_instance_state"]
    if isinstance(value, BaseException):
        return _parts_of_error(value)
    if isinstance(value, URL):
        return [value.render_as_string(hide_password=True)]
    if isinstance(value, type | ModuleType):
        return [value.__name__]
    if isinstance(value, Iterator) or not isinstance(value, Iterable):
        return _parts_of_object(value)  # pyright: ignore[reportUnknownArgumentType] -- of any items
    items = cast("Iterable[object]", value)
    return [*_items(items), *_attributes(items)]


def _items(value: Iterable[object]) -> Iterable[object]:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return [part for pair in pairs.items() for part in pair]
    return sorted(map(shown, value)) if isinstance(value, set | frozenset) else list(value)


def _parts_of_error(error: BaseException) -> Iterable[object]:
    return [*told_by(error), error.__cause__, error.__context__]


def _parts_of_object(value: object) -> Iterable[object]:
    kind = type(value)
    return [kind.__name__] if _is_opaque(kind) else _attributes(value) or [value]


def _attributes(value: object) -> list[object]:
    if _is_opaque(type(value)):
        return []
    slots = [name for base in type(value).__mro__ for name in _names(base)]
    attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    attributes |= getattr(value, "__dict__", {})
    return list(attributes.values())


def _is_opaque(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _OPAQUE


def _names(base: type) -> Iterable[str]:
    slots: str | Iterable[str] = base.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else slots
    return [name for name in names if name not in {"__weakref__", "__dict__"}]
