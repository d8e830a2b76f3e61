"""Where the bytes of stored objects are: a small protocol, and two stores that keep it."""

from agentdb.objects.folder import FolderObjectStore
from agentdb.objects.memory import MemoryObjectStore
from agentdb.objects.store import ObjectStore

__all__ = ["FolderObjectStore", "MemoryObjectStore", "ObjectStore"]
