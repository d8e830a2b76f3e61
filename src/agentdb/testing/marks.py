"""What gives a row away: its keys, its label, its texts, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from agentdb.testing.samples import Rows
from agentdb.testing.shown import shown

TOO_SHORT = 8
"""Characters below which a text says nothing: half of all texts may hold it."""
FIRST_NUMBER = 900_000_000
"""Where the numbers of sample rows begin, so that no count is taken for one of them."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"(?<!\d)\d{9,12}(?!\d)")
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b")


class Marks:
    """What shows rows of somebody else in a text."""

    def __init__(self, foreign: Iterable[object], own: Iterable[object], labels: set[str]) -> None:
        """Note them.

        Args:
            foreign: The rows of somebody else.
            own: What may be shown, and so gives nothing away.
            labels: Words that stand in the texts of the foreign rows alone.
        """
        told, known = _told(foreign), _told(own)
        texts = {text for text in told - known if _is_telling(text)}
        self._texts = texts | labels
        self._keys = _keys(told) - _keys(known)

    def found_in(self, text: str) -> list[str]:
        """Return the marks that *text* shows."""
        found = {mark for mark in self._texts if mark in text.lower()}
        return sorted(found | (self._keys & _keys([text])))


class Names:
    """Names that stand for the values of rows, to compare texts that tell of different rows."""

    def __init__(self, rows: Rows, label: str, kept_days: set[str]) -> None:
        """Note the keys of the rows.

        Args:
            rows: The rows by table.
            label: Stands in their texts.
            kept_days: Days of instants that are of the data; other instants are of the clock.
        """
        self._label = label
        self._days = kept_days
        self._keys: dict[str, str] = {}
        for table, row in rows.items():
            for column, value in _columns(row).items():
                if isinstance(value, UUID | int) and _is_key(str(value)):
                    self._keys.setdefault(_plain(str(value)), f"<{table}.{column}>")

    def put_into(self, text: str) -> str:
        """Return *text* with names for keys; for keys and instants that are new, their kind."""
        replace: Callable[[re.Match[str]], str] = self._name
        text = _NUMBER.sub(replace, _UUID.sub(replace, text))
        text = _TIME.sub(lambda m: m[0] if m["day"] in self._days else "<time>", text)
        return _ADDRESS.sub("<address>", text).replace(self._label, "<label>")

    def _name(self, found: re.Match[str]) -> str:
        unknown = "<uuid>" if _UUID.fullmatch(found[0]) else found[0]
        return self._keys.get(_plain(found[0]), unknown)


def _columns(row: object) -> Mapping[str, Any]:
    return {key: value for key, value in vars(row).items() if key != "_sa_instance_state"}


def _told(values: Iterable[object]) -> set[str]:
    return {line.lower() for line in shown(list(values)).splitlines()}


def _keys(texts: Iterable[str]) -> set[str]:
    """Return the UUIDs and the large numbers that stand in *texts*, written in one way."""
    found: set[str] = set()
    for text in texts:
        found |= {_plain(key) for key in _UUID.findall(text)}
        found |= {number for number in _NUMBER.findall(text) if int(number) >= FIRST_NUMBER}
    return found


def _plain(key: str) -> str:
    return key.replace("-", "").lower()


def _is_telling(text: str) -> bool:
    return len(text) >= TOO_SHORT and not (_is_key(text) or _DAY.match(text))


def _is_key(text: str) -> bool:
    return bool(_UUID.fullmatch(text) or (_NUMBER.fullmatch(text) and int(text) >= FIRST_NUMBER))
