"""A store in the memory of the process, for tests and for trying things out."""

from __future__ import annotations

from agentdb.errors import NotFoundError
from agentdb.objects.store import key_parts
from agentdb.storage.values import StorageProvider


class MemoryObjectStore:
    """Objects that end with the process.

    Attributes:
        provider: ``memory``.
        bucket: Name of the bucket.
        blobs: What is stored, by key.
    """

    def __init__(self, bucket: str = "memory") -> None:
        """Begin empty."""
        self.provider: str = StorageProvider.MEMORY
        self.bucket = bucket
        self.blobs: dict[str, bytes] = {}

    async def put(self, key: str, content: bytes) -> None:
        """Store *content* under *key*, in place of what was there.

        Raises:
            InvalidValueError: The key is none.
        """
        key_parts(key)
        self.blobs[key] = bytes(content)

    async def get(self, key: str) -> bytes:
        """Return what is stored under *key*.

        Raises:
            NotFoundError: There is nothing.
        """
        found = self.blobs.get(key)
        if found is None:
            raise NotFoundError("no such object in the store")
        return found

    async def delete(self, key: str) -> bool:
        """Remove what is stored under *key*; False if there was nothing."""
        return self.blobs.pop(key, None) is not None
