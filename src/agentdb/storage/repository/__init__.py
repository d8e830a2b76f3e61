"""Buckets and objects."""

from agentdb.storage.repository.buckets import StorageBucketRepository
from agentdb.storage.repository.objects import StorageObjectRepository

__all__ = [
    "StorageBucketRepository",
    "StorageObjectRepository",
]
