"""What the library asks of a store of objects."""

from __future__ import annotations

from typing import Protocol

from agentdb.errors import InvalidValueError

MAX_KEY = 512
"""Characters of a key, as many as ``storage_objects.object_key`` takes."""

MAX_PART = 255
"""UTF-8 bytes between two slashes of a key: what file systems take for a name."""


class ObjectStore(Protocol):
    """Bytes by key: S3, GCS, a folder. A host writes one in a few lines over its own client.

    The methods are coroutines and must not block the event loop. What they raise beyond the errors
    named here reaches the caller of the verb unchanged.
    """

    @property
    def provider(self) -> str:
        """What kind of store it is, 1 to 16 characters; ``storage_buckets.provider``."""
        ...

    @property
    def bucket(self) -> str:
        """The name of its bucket, 1 to 128 characters; ``storage_buckets.bucket_name``."""
        ...

    async def put(self, key: str, content: bytes) -> None:
        """Store *content* under *key*, in place of what was there; whole or not at all."""
        ...

    async def get(self, key: str) -> bytes:
        """Return what is stored under *key*.

        Raises:
            NotFoundError: There is nothing.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Remove what is stored under *key*; False if there was nothing."""
        ...


def key_parts(key: str) -> list[str]:
    """Return the parts of a key between its slashes.

    Raises:
        InvalidValueError: The key is empty, too long, absolute or relative, or has a part that a
            file system would not take for the name of a file or would hide.
    """
    if type(key) is not str or not 0 < len(key) <= MAX_KEY:
        raise InvalidValueError(f"a key is text of 1 to {MAX_KEY} characters")
    parts = key.split("/")
    if not all(map(_is_name, parts)):
        raise InvalidValueError("a part of a key is a file name that begins with no dot")
    return parts


def _is_name(part: str) -> bool:
    if (
        not part
        or part.startswith(".")
        or not part.isprintable()
        or not _FORBIDDEN.isdisjoint(part)
    ):
        return False
    return len(part.encode()) <= MAX_PART


_FORBIDDEN = frozenset('\\:*?"<>|')
"""What separates, or means something else, in the paths of some system."""
