"""What the metadata of an action has to hold, where the host says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agentdb.errors import InvalidValueError
from agentdb.types import Text


@dataclass(frozen=True, slots=True)
class _Keys:
    required: frozenset[str]
    allowed: frozenset[str] | None


_TEXT = Text()

_REGISTERED: dict[str, _Keys] = {}


def register_action(
    action: str, *, required: Collection[str] = (), allowed: Collection[str] | None = None
) -> None:
    """Say which keys the metadata of an action has, in this process; a later call replaces it.

    Args:
        action: The action.
        required: Keys that it must have.
        allowed: Keys that it may have besides; None allows any.
    """
    must = frozenset(required)
    may = None if allowed is None else must | frozenset(allowed)
    _REGISTERED[action] = _Keys(must, may)


def check_action(action: str, metadata: Mapping[str, object] | None) -> None:
    """Refuse metadata that lacks a key, or has one that is not allowed.

    Raises:
        InvalidValueError: It does; the message names the key.
    """
    keys = _REGISTERED.get(_TEXT.check(action))
    if keys is None:
        return
    if metadata is not None and not isinstance(metadata, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise _refusal("expects a JSON object")
    given = frozenset(metadata or {})
    for missing in sorted(keys.required - given):
        raise _refusal(f"lacks the key {missing}")
    for unknown in sorted(frozenset() if keys.allowed is None else given - keys.allowed):
        raise _refusal(f"may not have the key {unknown}")


def _refusal(what: str) -> InvalidValueError:
    return InvalidValueError(what, table="activity_events", column="metadata_json")
