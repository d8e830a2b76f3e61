"""JSON that both databases store and give back alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Any, TypeAlias, TypeGuard, cast

from sqlalchemy import JSON as _JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine
from typing_extensions import override

from agentdb.errors import InvalidValueError, ValueOutOfRangeError, ValueTooLongError
from agentdb.types.base import StrictType, are_of, is_storable

# Public signatures name the shape of JSON once, here; Any is what the standard library gives.
JsonObject: TypeAlias = dict[str, Any]

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Bytes of compact UTF-8 that a JSON column takes; larger payloads belong into an object store."""

MAX_JSON_DEPTH = 200
"""Nested arrays and objects: below the recursion limits of Python's encoder and of both parsers."""

MAX_JSON_NODES = 1_000_000
"""Values in one document; also what ends the walk over a structure that contains itself."""

MAX_JSON_INTEGER_BITS = 4096
"""Python refuses to print integers of more than 4300 digits
(https://docs.python.org/3/library/stdtypes.html#int-max-str-digits); this is about 1233."""

_NUMBER = frozenset("-0123456789")

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_CONTAINERS = frozenset({dict, list})
PLAIN = _CONTAINERS | {str, int, float, bool, NoneType}
"""The types that the standard library makes of JSON."""

_KEYS = frozenset({str})

_LONG = MAX_JSON_INTEGER_BITS // 4
"""Digits, fewer than the longest integer has."""

_LONG_NUMBER = re.compile(rf"\d{{{_LONG}}}")

_STRING_OR_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.]*e\+\d+')


class JsonText(str):
    """JSON that was checked and written out already; a column takes it as it is."""

    __slots__ = ()


def write_json(value: object, place: dict[str, str | None]) -> str:
    """Return *value* as `dump_json` does, refused as by `check_json`.

    A document of exact types, which nearly all are, is looked at as a whole: its types level by
    level, its values in the text. Only one that is not surely sound is walked through.
    """
    if _is_plain(value):
        try:
            text = _ENCODER.encode(value)
        except ValueError:  # what is not finite, or an integer too long to print
            text = "\x00"
        if is_storable(text) and "\\u0000" not in text and not _has_long_number(text):
            return _written_out(text)
    check_json(value, place)
    return dump_json(value)


def _is_plain(value: object) -> bool:
    """Return whether all types in a document are JSON's own, and its size far from the limits."""
    level, depth, count = [value], 1, 0
    while level:
        kinds = set(map(type, level))
        count += len(level)
        if not kinds <= PLAIN or depth >= MAX_JSON_DEPTH or count > MAX_JSON_NODES // 4:
            return False
        below: list[object] = []
        for node in level if kinds & _CONTAINERS else ():
            if type(node) is list:
                below += cast("list[object]", node)
            elif type(node) is dict:
                members = cast("dict[object, object]", node)
                if not set(map(type, members)) <= _KEYS:
                    return False
                below += members.values()
        level, depth = below, depth + 1
    return True


def _has_long_number(text: str) -> bool:
    return len(text) > _LONG and _LONG_NUMBER.search(text) is not None


def write_text(key: str, text: str) -> JsonText | None:
    """Return a document that holds one text; None where it is better looked at as any other."""
    if type(text) is not str or len(text) > MAX_JSON_BYTES // 8 or not is_storable(text):
        return None
    return JsonText(f'{{"{key}":{_ENCODER.encode(text)}}}')


def check_json(value: object, place: dict[str, str | None]) -> None:
    """Refuse what JSON, PostgreSQL or the round trip cannot keep."""
    todo: list[tuple[object, int]] = [(value, 1)]
    for count, (node, depth) in enumerate(_walk(todo)):
        if depth > MAX_JSON_DEPTH:
            message = f"JSON nests deeper than {MAX_JSON_DEPTH} levels"
            raise ValueTooLongError(message, limit=MAX_JSON_DEPTH, **place)
        if count > MAX_JSON_NODES:
            message = f"JSON has more than {MAX_JSON_NODES} values"
            raise ValueTooLongError(message, limit=MAX_JSON_NODES, **place)
        _check_leaf(node, place)


def _walk(todo: list[tuple[object, int]]) -> Iterator[tuple[object, int]]:
    """Yield every value of a document and its depth, without recursion."""
    while todo:
        node, depth = todo.pop()
        yield node, depth
        if type(node) is dict:
            children = cast("dict[object, object]", node)
            todo.extend((key if isinstance(key, str) else _BadKey, 0) for key in children)
            todo.extend((child, depth + 1) for child in children.values())
        elif type(node) is list:
            todo.extend((child, depth + 1) for child in cast("list[object]", node))


class _BadKey:
    """Stands for an object key that is no string."""


def _check_leaf(node: object, place: dict[str, str | None]) -> None:
    if node is None or type(node) in (bool, dict, list):
        return
    if isinstance(node, str):
        _check_string(node, place)
    elif type(node) is int:
        if node.bit_length() > MAX_JSON_INTEGER_BITS:
            raise ValueOutOfRangeError("a JSON integer is too long", **place)
    elif type(node) is float:
        if not math.isfinite(node):
            raise InvalidValueError("JSON has no NaN or Infinity", **place)
    elif node is _BadKey:
        raise InvalidValueError("JSON object keys must be text", **place)
    else:
        raise InvalidValueError(f"JSON has no {type(node).__name__}", **place)


def _check_string(text: str, place: dict[str, str | None]) -> None:
    if "\x00" in text:
        raise InvalidValueError("JSON text may not contain NUL", **place)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidValueError("JSON text has a lone surrogate", **place) from None


def dump_json(value: object) -> str:
    """Return checked *value* as compact JSON whose numbers PostgreSQL gives back unchanged.

    jsonb keeps numbers as decimals: ``1e+23``, which is how Python writes a large float, would come
    back as an exact integer, one that is not equal to the float. Written out, it stays the float.
    """
    return _written_out(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _written_out(text: str) -> str:
    return _STRING_OR_EXPONENT.sub(_number_written_out, text) if "e+" in text else text


def _number_written_out(match: re.Match[str]) -> str:
    token = match.group()
    return token if token.startswith('"') else f"{float(token):.1f}"


def _for_sqlite(text: str) -> str | bytes:
    """Return a document as SQLite keeps it: one that is a number, as bytes.

    A column called JSON has the affinity NUMERIC and would store the number instead of the text,
    rounded where it is long: https://www.sqlite.org/datatype3.html#type_affinity.
    """
    return text.encode() if text[0] in _NUMBER else text


class JSONCompat(StrictType[Any]):
    """A JSON document: ``json`` on PostgreSQL, JSON text on SQLite.

    ``None`` is SQL NULL, never JSON ``null``, so that NOT NULL and CHECK constraints see it.
    """

    impl = _JSON
    cache_ok = True

    @property
    @override
    def python_type(self) -> type[object]:
        return object

    @override
    def check(self, value: object) -> str:
        if isinstance(value, JsonText):
            return value
        text = write_json(value, self.place)
        if len(text) > MAX_JSON_BYTES // 4 and len(text.encode()) > MAX_JSON_BYTES:
            message = f"at most {MAX_JSON_BYTES} bytes of JSON"
            raise ValueTooLongError(message, limit=MAX_JSON_BYTES, **self.place)
        return text

    @override
    def are_sound(self, values: Sequence[object]) -> TypeGuard[Sequence[Any]]:
        return are_of(values, JsonText, NoneType)

    @override
    def bind_processor(self, dialect: Dialect) -> Any:
        wrap = self._psycopg_wrapper() if dialect.name == "postgresql" else _for_sqlite

        def process(value: Any) -> Any:
            return None if value is None else wrap(self.check(value))

        return process

    def _psycopg_wrapper(self) -> Callable[[str], object]:
        from psycopg.types.json import Json  # noqa: PLC0415 - SQLite users need not load psycopg

        return lambda text: Json(text, dumps=str)

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        if dialect.name == "postgresql":
            return None  # psycopg has parsed it

        def process(value: Any) -> Any:
            return None if value is None else json.loads(value)

        return process

    @override
    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        # Index and path operators take a key, not a document.
        return self.impl_instance.coerce_compared_value(op, value)


class JSONBCompat(JSONCompat):
    """A JSON document: ``jsonb`` on PostgreSQL, JSON text on SQLite."""

    impl = _JSON
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(_JSON(none_as_null=True))

    @override
    def _psycopg_wrapper(self) -> Callable[[str], object]:
        from psycopg.types.json import Jsonb  # noqa: PLC0415 - SQLite users need not load psycopg

        return lambda text: Jsonb(text, dumps=str)
